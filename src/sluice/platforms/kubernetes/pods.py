"""What pods show: who is ready since when, and why the others are not."""

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

from sluice.nouns import Endpoint
from sluice.platforms.kubernetes.template import port_number

Object = Mapping[str, Any]
LONGEST_SAID = 300
"""Characters of a message."""
_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_STARTING = frozenset({"ContainerCreating", "PodInitializing"})


def is_leaving(pod: Object) -> bool:
    """Whether it was told to go, or has ended."""
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return ended or "deletionTimestamp" in pod["metadata"]


def is_running(pod: Object) -> bool:
    """Whether a process of it runs, ready or draining."""
    return bool(pod.get("status", {}).get("phase") == "Running")


def endpoint_of(pod: Object, port: str | int) -> Endpoint | None:
    """Where a ready pod takes requests; None when it takes none."""
    status = pod.get("status", {})
    ready = _condition(pod, "Ready")
    number = port_number(pod, port)
    address = status.get("podIP")
    if is_leaving(pod) or number is None or not address or ready.get("status") != "True":
        return None
    return Endpoint(name=pod["metadata"]["name"], host=str(address), port=number)


def ready_since_ms(pod: Object) -> int:
    """When it became ready, UTC ms, to the second; 0 when it does not say."""
    return millis(_condition(pod, "Ready").get("lastTransitionTime"))


def restarts_of(pod: Object) -> int:
    """How often its containers were started anew."""
    return sum(int(item.get("restartCount", 0)) for item in _containers(pod))


def why_not_ready(pod: Object) -> str:
    """In one line, what keeps a pod from being ready."""
    status = pod.get("status", {})
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return _line(f"cannot be scheduled: {scheduled.get('message', 'no reason given')}")
    for container in (*(status.get("initContainerStatuses") or ()), *_containers(pod)):
        reason = _why_not(container)
        if reason:
            return _line(reason)
    for container in _containers(pod):
        if container.get("ready"):
            continue
        name = container["name"]
        if container.get("started") is False and _probe(pod, name, "startupProbe"):
            return _line(
                f"container {name}: startup probe {_probe(pod, name, 'startupProbe')}"
                " does not pass yet"
            )
        probe = _probe(pod, name, "readinessProbe")
        if "running" in (container.get("state") or {}) and probe:
            return _line(f"container {name}: readiness probe {probe} does not pass")
    ready = _condition(pod, "Ready")
    said = ready.get("message") or ready.get("reason") or status.get("message")
    return _line(str(said or "starting"))


def why_no_pod(deployment: Object | None) -> str:
    """In one line, why a Deployment has fewer pods than it should."""
    for condition in (deployment or {}).get("status", {}).get("conditions") or ():
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return _line(f"no further pod is let in: {condition.get('message', '')}")
    return "waiting for its pods"


def millis(text: object) -> int:
    """UTC milliseconds of an RFC 3339 time; 0 when it is none."""
    try:
        return round(datetime.datetime.fromisoformat(str(text)).timestamp() * 1000)
    except ValueError:
        return 0


def _why_not(container: Object) -> str:
    name, state = container["name"], container.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated")
    reason, message = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    if reason in _IMAGE:
        return f"image {container.get('image')} cannot be pulled: {message or reason}"
    if reason == "CrashLoopBackOff":
        last = (container.get("lastState") or {}).get("terminated") or {}
        return f"container {name} crashes again and again: last time it {_end(last)}"
    if reason in _STARTING:
        return f"container {name} is being started ({reason})"
    if reason:
        return f"container {name} cannot start: {reason}: {message}"
    if ended and ended.get("reason") != "Completed":
        return f"container {name} {_end(ended)}"
    return ""


def _end(ended: Object) -> str:
    signal, code = ended.get("signal"), ended.get("exitCode")
    how = f"was ended by signal {signal}" if signal else f"exited with status {code}"
    reason = ended.get("reason")
    named = f" ({reason})" if reason not in (None, "Error", "Completed") else ""
    said = str(ended.get("message") or "").strip()
    return f"{how}{named}" + (f": {said}" if said else "")


def _probe(pod: Object, container: str, key: str) -> str:
    """How a probe asks, such as ``GET :http/ready``; empty when there is none."""
    for item in pod.get("spec", {}).get("containers") or ():
        probe = item.get(key) if item.get("name") == container else None
        if not probe:
            continue
        if "httpGet" in probe:
            return f"GET :{probe['httpGet'].get('port')}{probe['httpGet'].get('path', '/')}"
        if "tcpSocket" in probe:
            return f"connect :{probe['tcpSocket'].get('port')}"
        if "exec" in probe:
            return " ".join(probe["exec"].get("command") or ())
        return "grpc"
    return ""


def _containers(pod: Object) -> Iterator[Object]:
    yield from pod.get("status", {}).get("containerStatuses") or ()


def _condition(pod: Object, kind: str) -> Object:
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition.get("type") == kind:
            found: Object = condition
            return found
    return {}


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_SAID else line[: LONGEST_SAID - 1] + "…"
