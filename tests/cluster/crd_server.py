"""The definitions of this tree in a cluster, under a group of their own: what is installed there,
and what others test at the same time, is left alone."""

import json
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml
from tests.unit.spec.documents import POLICY, RELEASE
from tools import generate_crd

DEFINITIONS = (generate_crd.release, generate_crd.policy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the API server says of a document."""

    accepted: bool
    message: str
    object: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrdServer:
    """A real API server that knows Release and ReleasePolicy of this tree."""

    address: str
    group: str

    def placed(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The document under the group of this test."""
        return {**document, "apiVersion": f"{self.group}/{generate_crd.VERSION}"}

    def ask(self, document: Mapping[str, Any]) -> Answer:
        """Whether the API server would take the document, unknown fields refused."""
        plural = "releasepolicies" if document["kind"] == "ReleasePolicy" else "releases"
        path = f"/apis/{self.group}/{generate_crd.VERSION}/namespaces/default/{plural}"
        request = urllib.request.Request(  # noqa: S310  # an address of our own
            f"{self.address}{path}?dryRun=All&fieldValidation=Strict",
            data=json.dumps(self.placed(document)).encode(),
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                return Answer(accepted=True, message="", object=json.load(response))
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
            # A path that is not served yet is answered in plain text.
            status = json.loads(text) if text.startswith("{") else {"message": text}
            causes = status.get("details", {}).get("causes", [])
            lines = [status["message"], *(str(cause.get("message")) for cause in causes)]
            return Answer(accepted=False, message="\n".join(lines), object={})

    def kubectl(self, *arguments: str, documents: list[dict[str, Any]] | None = None) -> str:
        """Output of kubectl, both kinds.

        Raises:
            subprocess.CalledProcessError: it failed; ``output`` says how.
        """
        text = yaml.safe_dump_all([self.placed(doc) for doc in documents or ()])
        return kubectl(*arguments, text=text)


def kubectl(*arguments: str, text: str = "") -> str:
    """Output of kubectl, both kinds.

    Raises:
        subprocess.CalledProcessError: it failed; ``output`` says how.
    """
    done = subprocess.run(
        ["kubectl", *arguments],
        input=text,
        text=True,
        check=True,
        timeout=120,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    return done.stdout


@contextmanager
def serving() -> Iterator[CrdServer]:
    """The definitions, while it lasts."""
    group = f"t{uuid.uuid4().hex[:8]}.sluice.dev"
    definitions = [_renamed(make(), group) for make in DEFINITIONS]
    names = [f"crd/{definition['metadata']['name']}" for definition in definitions]
    proxy = subprocess.Popen(
        ["kubectl", "proxy", "--port=0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        kubectl("apply", "--server-side", "-f", "-", text=yaml.safe_dump_all(definitions))
        assert proxy.stdout is not None  # PIPE
        address = proxy.stdout.readline().rpartition(" ")[2].strip()
        found = CrdServer(address=f"http://{address}", group=group)
        _wait_until_served(found)
        yield found
    finally:
        proxy.terminate()
        proxy.wait(timeout=10)
        if proxy.stdout is not None:
            proxy.stdout.close()
        kubectl("delete", "--ignore-not-found", "--wait=false", *names)


def _wait_until_served(server: CrdServer) -> None:
    """``kubectl wait`` fails on a definition that has no status yet, so ask for what is wanted."""
    end = time.monotonic() + 60
    while not all(server.ask(document).accepted for document in (RELEASE, POLICY)):
        assert time.monotonic() < end, server.ask(RELEASE).message or server.ask(POLICY).message
        time.sleep(0.2)


def _renamed(definition: dict[str, Any], group: str) -> dict[str, Any]:
    plural = definition["spec"]["names"]["plural"]
    return {
        **definition,
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            **definition["spec"],
            "group": group,
            # Short names and categories of the installed ones would hide these, or be hidden.
            "names": {
                key: value
                for key, value in definition["spec"]["names"].items()
                if key not in ("shortNames", "categories")
            },
        },
    }
