"""Users of a taxi model API, in the open model: ``locust -f loadtests/locustfile.py``.

``TRIPS`` names a CSV of real trips; without it trips are generated. ``BODIES`` names rows that were
made of such trips before, for machines without the model API's package. ``USERS`` is how many
different users there are, ``MODEL`` the model that is asked.
"""

import os
import random
import sys
from typing import Any

from locust import tag, task

from loadtests.bodies import BINARY_HEADER, Bodies, read_bodies
from loadtests.openmodel import OpenUser, arrival

MODEL = os.environ.get("MODEL", "taxi-duration")
USERS = int(os.environ.get("USERS", "1000"))
USER_HEADER = os.environ.get("USER_HEADER", "x-user-id")
JSON = {"Content-Type": "application/json"}


def _read() -> Bodies:
    try:
        return read_bodies(os.environ.get("TRIPS", ""), rows=os.environ.get("BODIES", ""))
    except ValueError as error:
        sys.stderr.write(f"load: bodies: {error}\n")
        sys.exit(64)


# read before locust asks anything of this process: a worker that reads later is a late worker
BODIES = _read()


class TaxiUser(OpenUser):
    """Asks for predictions, mostly as V2 JSON; ``--tags`` picks one form."""

    host = "http://127.0.0.1:8080"

    @tag("v2", "json")
    @task(3)
    def v2_json(self) -> None:
        """One row, JSON tensors."""
        body = self._pick(BODIES.v2_json)
        self._post(f"/v2/models/{MODEL}/infer", body, JSON)

    @tag("v2", "binary")
    @task(1)
    def v2_binary(self) -> None:
        """One row, binary tensors."""
        body, length = self._pick(BODIES.v2_binary)
        headers = {"Content-Type": "application/octet-stream", BINARY_HEADER: length}
        self._post(f"/v2/models/{MODEL}/infer", body, headers)

    @tag("predict")
    @task(1)
    def predict(self) -> None:
        """One row, the model's own fields."""
        self._post("/predict", self._pick(BODIES.plain), JSON)

    def _post(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        user = f"user-{random.randrange(USERS)}"  # noqa: S311
        recorded = arrival.recorded
        if recorded is not None:
            path, user = recorded.path or path, recorded.user or user
            if recorded.body:
                body, headers = recorded.body.encode(), JSON
        self.client.post(path, data=body, headers={**headers, USER_HEADER: user})

    @staticmethod
    def _pick(bodies: tuple[Any, ...]) -> Any:
        return random.choice(bodies)  # noqa: S311
