"""Stock locust as people write it: a closed loop at a constant throughput."""

import os

from locust import FastHttpUser, constant_throughput, task

USERS = 10


class Stock(FastHttpUser):
    """Ten of them make the whole rate, as long as every answer comes in time."""

    wait_time = constant_throughput(float(os.environ["RATE"]) / USERS)

    @task
    def root(self) -> None:
        self.client.get("/")
