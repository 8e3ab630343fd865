"""The pod template: Kubernetes' own, kept whole, checked where Sluice leans on it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from sluice.spec.base import Loc, Related, Relation
from sluice.spec.scalars import Name, Port, PortName, Text, Whole, Words, shown

PROBES = ("httpGet", "tcpSocket", "exec", "grpc")
HANDLERS = ", ".join(PROBES)


class Kube(Related):
    """A part of a Kubernetes object: fields that are not named here are kept as they are."""

    model_config = ConfigDict(extra="allow")


class EnvVar(Kube):
    """One variable of a container's environment."""

    name: Words
    """Name of the variable."""
    value: Text | None = None
    """``$(NAME)`` stands for another variable; ``$(PORT)`` is the port to listen on."""


class ContainerPort(Kube):
    """A port that the container listens on."""

    name: PortName | None = None
    """Name, such as ``http``; used once in a pod."""
    container_port: Whole = Field(ge=1, le=65_535)
    """Number; on a laptop replicas share one address, so each gets a free port instead."""


class HttpGet(Kube):
    """A probe by HTTP: an answer from 200 to 399 is good."""

    port: Port
    """Name or number of a container port."""
    path: Text = "/"
    """Path to ask for."""
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    """Protocol to ask by."""


class TcpSocket(Kube):
    """A probe by connecting."""

    port: Port
    """Name or number of a container port."""


class Exec(Kube):
    """A probe by running a command: exit code 0 is good."""

    command: tuple[Text, ...] = Field(min_length=1)
    """Program and arguments."""


class Probe(Kube):
    """How to find out whether a container is started, alive or ready."""

    http_get: HttpGet | None = None
    """Ask by HTTP."""
    tcp_socket: TcpSocket | None = None
    """Ask by connecting."""
    exec: Exec | None = None
    """Ask by running a command."""
    grpc: dict[Text, JsonValue] | None = None
    """Ask by gRPC; not on a laptop."""
    initial_delay_seconds: Whole = Field(default=0, ge=0)
    """Seconds from the start to the first probe."""
    period_seconds: Whole = Field(default=10, ge=1)
    """Seconds between probes."""
    timeout_seconds: Whole = Field(default=1, ge=1)
    """Seconds until a probe without answer has failed."""
    success_threshold: Whole = Field(default=1, ge=1)
    """Good probes in a row that count as good."""
    failure_threshold: Whole = Field(default=3, ge=1)
    """Failed probes in a row that count as failed."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """A probe has exactly one way to ask."""
        given = [probe for probe in PROBES if raw.get(probe) is not None]
        if not given:
            yield (), f"a probe needs one of {HANDLERS}"
        elif len(given) > 1:
            yield (), f"a probe has one of {HANDLERS}, not {' and '.join(given)}"


class Container(Kube):
    """One container of the pod."""

    name: Name
    """Name of the container."""
    image: Words | None = None
    """Image with a fixed tag or digest; not opened on a laptop."""
    command: tuple[Text, ...] | None = None
    """What runs; needed on a laptop, where no image is opened."""
    args: tuple[Text, ...] | None = None
    """Arguments of the command."""
    env: tuple[EnvVar, ...] | None = None
    """Environment."""
    ports: tuple[ContainerPort, ...] | None = Field(default=None, max_length=100)
    """Ports that the container listens on."""
    readiness_probe: Probe | None = None
    """Decides when a replica takes requests."""
    liveness_probe: Probe | None = None
    """Decides when a replica is restarted."""
    startup_probe: Probe | None = None
    """Holds the other probes back until it is good."""


class PodSpec(Kube):
    """What the pod runs."""

    containers: tuple[Container, ...] = Field(min_length=1, max_length=50)
    """At least one; a laptop runs exactly one."""
    termination_grace_period_seconds: Whole | None = Field(default=None, ge=0)
    """Seconds from the signal to stop until the replica is killed; 30 when left out."""

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """Names of containers and of ports are used once in a pod."""
        containers = items(raw, "containers")
        yield from _once("container", [(("containers", i), c) for i, c in enumerate(containers)])
        ports = [
            (("containers", i, "ports", j), port)
            for i, container in enumerate(containers)
            for j, port in enumerate(items(container, "ports"))
        ]
        yield from _once("port", ports)


def _once(what: str, named: Sequence[tuple[Loc, Any]]) -> Iterator[Relation]:
    seen: set[str] = set()
    for loc, value in named:
        name = value.get("name") if isinstance(value, Mapping) else None
        if not isinstance(name, str):
            continue
        if name in seen:
            yield (*loc, "name"), f"a {what} named {shown(name)} exists already in this pod"
        seen.add(name)


class PodMetadata(Kube):
    """Labels and annotations of the pods; part of the revision."""

    labels: dict[Text, Text] | None = None
    """Labels of the pods."""
    annotations: dict[Text, Text] | None = None
    """Annotations of the pods; a new one is a new revision."""


class PodTemplate(Kube):
    """Kubernetes PodTemplateSpec."""

    metadata: PodMetadata | None = None
    """Labels and annotations."""
    spec: PodSpec
    """Containers and everything else of a pod."""


def items(raw: object, *path: str) -> tuple[Any, ...]:
    """The list at ``path`` of an unchecked value, or nothing when there is none."""
    for key in path:
        raw = raw.get(key) if isinstance(raw, Mapping) else None
    return tuple(raw) if isinstance(raw, list | tuple) else ()


def port_names(template: object) -> tuple[str, ...]:
    """Names of all container ports of an unchecked pod template, in order."""
    ports = (
        port
        for container in items(template, "spec", "containers")
        for port in items(container, "ports")
    )
    names = (port.get("name") for port in ports if isinstance(port, Mapping))
    return tuple(name for name in names if isinstance(name, str))
