"""What a process is to be: the part of a pod template that means something on a laptop."""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpGet:
    """Good when answered with 200 to 399, as the kubelet judges it."""

    port: str
    path: str = "/"
    host: str | None = None
    """Host to ask instead of the replica's own."""
    https: bool = False
    """Certificates are not verified, as in the kubelet."""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpSocket:
    """Good when the port accepts a connection."""

    port: str
    host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exec:
    """Good when the command exits with 0; run in the replica's environment and folder."""

    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """Waits, as a ``preStop`` hook may."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A question put to a replica again and again; defaults are Kubernetes' own."""

    ask: HttpGet | TcpSocket | Exec
    initial_delay_s: float = 0.0
    period_s: float = 10.0
    timeout_s: float = 1.0
    failure_threshold: int = 3
    success_threshold: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvVar:
    """One variable; ``value`` may refer to earlier ones as ``$(NAME)``."""

    name: str
    value: str = ""
    fact: str = ""
    """``metadata.name`` or ``status.podIP``: the value is this fact of the replica instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPort:
    """A port of the container; the replica gets one of the machine's in its stead."""

    number: int
    name: str = ""

    @property
    def key(self) -> str:
        """What the port is called everywhere else: its name, or its number in want of one."""
        return self.name or str(self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSpec:
    """One replica's process, before it has a name and ports."""

    argv: tuple[str, ...]
    env: tuple[EnvVar, ...]
    ports: tuple[ContainerPort, ...]
    traffic: str
    """Key of the port that takes requests; it is the variable ``PORT``."""
    readiness: Probe
    liveness: Probe | None
    startup: Probe | None
    pre_stop: HttpGet | Exec | Sleep | None
    grace_s: float
    """From the begin of ``preStop`` to SIGKILL, seconds."""
    workdir: str | None


def render(
    spec: ProcessSpec, *, name: str, host: str, ports: Mapping[str, int]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Command line and variables of one replica.

    ``PORT`` is the port that takes requests, ``PORT_METRICS`` that of the container port named
    ``metrics``, and so on; they win over variables of the same name in the template, which hold
    the ports of the cluster.

    Args:
        spec: What to run.
        name: Name of the replica, its ``metadata.name``.
        host: Address of the replica, its ``status.podIP``.
        ports: Port of this machine by key of the container port.

    Returns:
        Arguments, and variables without those inherited from the supervisor.
    """
    given = {"PORT": str(ports[spec.traffic])}
    for port in spec.ports:
        if port.name:
            given[f"PORT_{port.name.upper().replace('-', '_')}"] = str(ports[port.key])
    facts = {"metadata.name": name, "status.podIP": host}
    env = dict(given)
    for variable in spec.env:
        if variable.name not in given:
            value = facts[variable.fact] if variable.fact else expand(variable.value, env)
            env[variable.name] = value
    return tuple(expand(word, env) for word in spec.argv), env


_REFERENCE = re.compile(r"\$\$|\$\(([^)]*)\)")


def expand(text: str, env: Mapping[str, str]) -> str:
    """Put values for ``$(NAME)`` as Kubernetes does: ``$$`` is a dollar, unknown names stay."""

    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return env.get(match[1], match[0])

    return _REFERENCE.sub(value, text)
