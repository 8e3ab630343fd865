"""A locustfile of one's own, with the open model in two lines."""

from loadtests.openmodel import OpenUser
from locust import tag, task


class Plain(OpenUser):
    @tag("root")
    @task(3)
    def root(self) -> None:
        self.client.get("/")

    @tag("other")
    @task
    def other(self) -> None:
        self.client.get("/other")
