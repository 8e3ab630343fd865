"""Users of a story's release: as cheap as can be, because load and cluster share one machine."""

import random

from loadtests.openmodel import OpenUser
from locust import task


class Caller(OpenUser):
    """Posts a small body; a thousand different users."""

    host = "http://127.0.0.1"

    @task
    def post(self) -> None:
        """One request."""
        user = f"user-{random.randrange(1_000)}"
        headers = {"x-user-id": user, "Content-Type": "application/json"}
        self.client.post("/v2/models/taxi/infer", data=b"{}", headers=headers)
