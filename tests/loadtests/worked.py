"""A locustfile with weights and ``on_start``: what it sends says who sent it."""

from loadtests.openmodel import OpenUser
from locust import tag, task


class Worked(OpenUser):
    def on_start(self) -> None:
        """What a user learns before the first arrival is his."""
        self.key = f"user-{id(self)}"

    @tag("often")
    @task(9)
    def often(self) -> None:
        self.client.get("/often", headers={"x-user-id": self.key})

    @tag("seldom")
    @task(1)
    def seldom(self) -> None:
        self.client.get("/seldom", headers={"x-user-id": self.key})
