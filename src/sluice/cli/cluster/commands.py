"""A verb as an annotation: put on the release, answered by the controller in its status."""

import asyncio
import json
import uuid
from collections.abc import Mapping
from time import monotonic
from typing import Any

from sluice.cli.cluster.controller import whereabouts
from sluice.errors import RefusedError, TransientError, UnknownRelease
from sluice.kube.client import KubeClient
from sluice.kube.errors import Conflict, NotThere
from sluice.kube.kinds import RELEASE

COMMAND = "sluice.dev/command"
LOOK_S = 0.5
COURTESY_S = 5.0
"""How long somebody else's unanswered command may stand before ours takes its place."""

Object = dict[str, Any]


async def command(
    kube: KubeClient, namespace: str, name: str, body: Mapping[str, Any], *, timeout_s: float
) -> tuple[str, Object]:
    """Do something to a release.

    Args:
        kube: The cluster.
        namespace: Of the release.
        name: Of the release.
        body: ``verb``, ``by`` and what the verb takes.
        timeout_s: How long to wait for the controller.

    Returns:
        What happened in one line, and the release after it.

    Raises:
        UnknownRelease: no such release.
        RefusedError: the controller refused it, or another command came between.
        TransientError: the controller did not answer.
    """
    mine = uuid.uuid4().hex[:12]
    end = monotonic() + timeout_s
    await _put(kube, namespace, name, {"id": mine, **body})
    while True:
        obj = await _get(kube, namespace, name)
        answer = (obj.get("status") or {}).get("command") or {}
        if answer.get("id") == mine:
            message = str(answer.get("message") or body["verb"])
            if answer.get("outcome") == "refused":
                raise RefusedError(message)
            return message, obj
        standing = pending(obj)
        if standing is None or standing.get("id") != mine:
            other = _named(standing) if standing else "another command"
            raise RefusedError(
                f"{other} came right after this {body['verb']}: "
                f"`sluice history {name}` says whether it was done before"
            )
        if monotonic() >= end:
            raise TransientError(
                f"the controller did not answer {body['verb']} within {timeout_s:g} s: "
                f"{await whereabouts(kube)}. The command stands and is done when the controller "
                f"is back; `kubectl annotate release {name} -n {namespace} {COMMAND}-` takes it "
                "away"
            )
        await asyncio.sleep(LOOK_S)


def pending(obj: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The command that stands on a release and has no answer yet."""
    text = (obj["metadata"].get("annotations") or {}).get(COMMAND)
    if not text:
        return None
    try:
        body = json.loads(text)
    except ValueError:
        return None
    if not isinstance(body, dict):
        return None
    answered = (obj.get("status") or {}).get("command") or {}
    return None if answered.get("id") == body.get("id") else body


async def _put(kube: KubeClient, namespace: str, name: str, body: Mapping[str, Any]) -> None:
    text = json.dumps(body, separators=(",", ":"))
    patience = monotonic() + COURTESY_S
    while True:
        obj = await _get(kube, namespace, name)
        if pending(obj) is None or monotonic() >= patience:
            version = obj["metadata"].get("resourceVersion")
            change = {"metadata": {"annotations": {COMMAND: text}, "resourceVersion": version}}
            try:
                await kube.patch(RELEASE, name, namespace, change)
            except Conflict:
                continue  # it was written meanwhile, maybe a command: look again
            except NotThere as error:
                raise UnknownRelease(f"release {name} in {namespace} has gone") from error
            return
        await asyncio.sleep(LOOK_S)


async def _get(kube: KubeClient, namespace: str, name: str) -> Object:
    obj = await kube.get(RELEASE, name, namespace)
    if obj is None:
        raise UnknownRelease(f"no release {name} in namespace {namespace}")
    return obj


def _named(body: Mapping[str, Any]) -> str:
    return f"a {body.get('verb', 'command')} by {body.get('by') or 'somebody'}"
