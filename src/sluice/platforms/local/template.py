"""Reads a pod template as a laptop can run it: what counts, what is ignored, what is refused.

Field by field from the Kubernetes API reference, ``core/v1`` PodSpec and Container (v1.33).
"""

from collections.abc import Mapping
from typing import Any

from sluice.errors import SpecError
from sluice.platforms.local.process_spec import (
    ContainerPort,
    EnvVar,
    Exec,
    HttpGet,
    Probe,
    ProcessSpec,
    Sleep,
    TcpSocket,
)
from sluice.platforms.local.reader import Reader

_GRACE_S = 30

_POD_IGNORED = frozenset({
    "activeDeadlineSeconds", "affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy",
    "enableServiceLinks", "hostAliases", "hostUsers", "hostname", "imagePullSecrets", "nodeName",
    "nodeSelector", "os", "overhead", "preemptionPolicy", "priority", "priorityClassName",
    "readinessGates", "resources", "runtimeClassName", "schedulerName", "schedulingGates",
    "securityContext", "serviceAccount", "serviceAccountName", "setHostnameAsFQDN",
    "shareProcessNamespace", "subdomain", "tolerations", "topologySpreadConstraints",
})  # fmt: skip
_POD_REFUSED = {
    "initContainers": "init containers are not run on a laptop: do their work before `deploy`",
    "ephemeralContainers": "ephemeral containers are not run on a laptop",
    "volumes": "volumes are not mounted on a laptop: pass a path of this machine in args or env",
    "hostNetwork": "the process is on this machine's network anyway, on a port of its own",
    "hostPID": "not on a laptop",
    "hostIPC": "not on a laptop",
    "resourceClaims": "devices are not claimed on a laptop",
}
_CONTAINER_IGNORED = frozenset({
    "image", "imagePullPolicy", "resizePolicy", "resources", "restartPolicy", "securityContext",
    "stdin", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty",
})  # fmt: skip
_CONTAINER_REFUSED = {
    "envFrom": "ConfigMaps and Secrets are not read on a laptop: list the variables under env",
    "volumeMounts": "volumes are not mounted on a laptop: pass a path of this machine instead",
    "volumeDevices": "volumes are not mounted on a laptop",
    "restartPolicyRules": "a laptop always restarts",
}
_FACTS = ("metadata.name", "status.podIP")


def parse_template(
    template: Mapping[str, Any], *, port: str | int = "http", path: str = "spec.template"
) -> tuple[ProcessSpec, tuple[str, ...]]:
    """What to run for a pod template, and what of it means nothing on a laptop.

    Args:
        template: PodTemplateSpec as parsed JSON.
        port: Name or number of the container port that takes requests. A container that
            declares no ports has this one.
        path: Where the template stands in its file, for faults and ignored paths.

    Returns:
        The process, and the paths of fields that were set and are ignored, in order.

    Raises:
        SpecError: fields that would change what runs, or are not fields at all; all of them.
    """
    top = Reader.of(template, path)
    top.accept({"metadata", "spec"}, ignored=frozenset(), refused={})
    pod = top.child("spec")
    pod.accept(
        {"containers", "terminationGracePeriodSeconds", "restartPolicy"},
        ignored=_POD_IGNORED,
        refused=_POD_REFUSED,
    )
    if pod.value.get("restartPolicy", "Always") != "Always":
        pod.fault("restartPolicy", "a replica is always restarted: remove it, or say Always")
    grace_s = pod.number("terminationGracePeriodSeconds", _GRACE_S, least=0)
    containers = pod.items("containers")
    spec = None
    if not containers:
        pod.fault("containers", "names no container")
    else:
        for extra in containers[1:]:
            extra.fault("", "sidecars are not run on a laptop: one container only")
        spec = _container(containers[0], port, grace_s)
    if top.faults or spec is None:
        raise SpecError(top.faults)
    return spec, tuple(top.ignored)


def _container(reader: Reader, traffic: str | int, grace_s: float) -> ProcessSpec:
    reader.accept(
        {
            "args", "command", "env", "lifecycle", "livenessProbe", "name", "ports",
            "readinessProbe", "startupProbe", "workingDir",
        },
        ignored=_CONTAINER_IGNORED,
        refused=_CONTAINER_REFUSED,
    )  # fmt: skip
    command = reader.strings("command")
    if not reader.value.get("command"):
        reader.fault(
            "command",
            "is needed on a laptop, where no image says what to run: "
            'for instance ["python", "-m", "my_model"]',
        )
    ports = _Ports(reader, traffic)
    readiness = _probe(reader, "readinessProbe", ports)
    lifecycle = reader.child("lifecycle")
    lifecycle.accept({"preStop"}, ignored=frozenset(), refused=_LIFECYCLE_REFUSED)
    return ProcessSpec(
        argv=(*command, *reader.strings("args")),
        env=tuple(_variable(item) for item in reader.items("env")),
        ports=ports.all,
        traffic=ports.traffic,
        # Without one Kubernetes takes a started container for ready; here no request should
        # meet a process that is still loading its model.
        readiness=readiness or Probe(ask=TcpSocket(port=ports.traffic), period_s=1.0),
        liveness=_probe(reader, "livenessProbe", ports),
        startup=_probe(reader, "startupProbe", ports),
        pre_stop=_hook(lifecycle.child("preStop"), ports),
        grace_s=grace_s,
        workdir=reader.text("workingDir", "") or None,
    )


_LIFECYCLE_REFUSED = {
    "postStart": "is not run on a laptop: do it in the command",
    "stopSignal": "a replica is stopped with SIGTERM on a laptop",
}


class _Ports:
    """The container's ports, and what a reference to one means."""

    def __init__(self, reader: Reader, traffic: str | int) -> None:
        found: list[ContainerPort] = []
        for item in reader.items("ports"):
            item.accept(
                {"containerPort", "name"},
                ignored=frozenset({"hostIP", "hostPort", "protocol"}),
                refused={},
            )
            number = int(item.number("containerPort", None, least=1, most=65_535))
            port = ContainerPort(number=number, name=item.text("name", ""))
            if port.key in {other.key for other in found}:
                item.fault("", f"port {port.key!r} is there twice")
            found.append(port)
        if not found:
            named = isinstance(traffic, str)
            found = [ContainerPort(number=0 if named else int(traffic), name=str(traffic))]
        self.all = tuple(found)
        self.traffic = self.find(traffic) or ""
        if not self.traffic:
            reader.fault("ports", f"has no port {traffic!r}, the one that takes requests")

    def find(self, wanted: str | int) -> str | None:
        """Key of a port by name or number."""
        for port in self.all:
            if wanted in (port.name, port.number) or str(port.number) == wanted:
                return port.key
        return None

    def read(self, reader: Reader) -> str:
        wanted = reader.value.get("port")
        if not isinstance(wanted, str | int) or isinstance(wanted, bool):
            reader.fault("port", "must be the name or number of a port")
            return ""
        key = self.find(wanted)
        if key is None:
            known = ", ".join(port.key for port in self.all)
            reader.fault("port", f"no port {wanted!r} among the container's ports ({known})")
        return key or ""


def _variable(reader: Reader) -> EnvVar:
    reader.accept({"name", "value", "valueFrom"}, ignored=frozenset(), refused={})
    name = reader.text("name", None)
    if "valueFrom" not in reader.value:
        return EnvVar(name=name, value=reader.text("value", ""))
    source = reader.child("valueFrom")
    fact = source.child("fieldRef").value.get("fieldPath")
    if fact not in _FACTS or source.value.keys() != {"fieldRef"}:
        reader.fault(
            "valueFrom",
            "ConfigMaps, Secrets and most facts of a pod do not exist on a laptop: set value "
            f"(fieldRef works for {' and '.join(_FACTS)})",
        )
        return EnvVar(name=name)
    return EnvVar(name=name, fact=str(fact))


def _probe(reader: Reader, field: str, ports: _Ports) -> Probe | None:
    if field not in reader.value:
        return None
    probe = reader.child(field)
    probe.accept(
        {
            "exec", "failureThreshold", "httpGet", "initialDelaySeconds", "periodSeconds",
            "successThreshold", "tcpSocket", "timeoutSeconds",
        },
        # The pod's own grace period is used for a liveness restart too.
        ignored=frozenset({"terminationGracePeriodSeconds"}),
        refused={"grpc": "is not asked on a laptop: use httpGet, tcpSocket or exec"},
    )  # fmt: skip
    ask = _handler(probe, ports)
    if ask is None:
        return None
    return Probe(
        ask=ask,
        initial_delay_s=probe.number("initialDelaySeconds", 0, least=0),
        period_s=probe.number("periodSeconds", 10, least=1),
        timeout_s=probe.number("timeoutSeconds", 1, least=1),
        failure_threshold=int(probe.number("failureThreshold", 3, least=1)),
        success_threshold=int(probe.number("successThreshold", 1, least=1)),
    )


def _handler(reader: Reader, ports: _Ports) -> HttpGet | TcpSocket | Exec | None:
    kinds = [kind for kind in ("exec", "httpGet", "tcpSocket") if kind in reader.value]
    if len(kinds) != 1:
        if "grpc" not in reader.value:
            reader.fault("", "needs exactly one of exec, httpGet, tcpSocket")
        return None
    handler = reader.child(kinds[0])
    if kinds[0] == "exec":
        return _exec(handler)
    if kinds[0] == "httpGet":
        return _http(handler, ports)
    handler.accept({"host", "port"}, ignored=frozenset(), refused={})
    return TcpSocket(port=ports.read(handler), host=handler.text("host", "") or None)


def _hook(reader: Reader, ports: _Ports) -> HttpGet | Exec | Sleep | None:
    if not reader.value:
        return None
    reader.accept({"exec", "httpGet", "sleep"}, ignored=frozenset(), refused={})
    if len(reader.value) != 1:
        reader.fault("", "needs exactly one of exec, httpGet, sleep")
    if "exec" in reader.value:
        return _exec(reader.child("exec"))
    if "httpGet" in reader.value:
        return _http(reader.child("httpGet"), ports)
    return Sleep(seconds=reader.child("sleep").number("seconds", None, least=0))


def _exec(reader: Reader) -> Exec:
    reader.accept({"command"}, ignored=frozenset(), refused={})
    argv = reader.strings("command")
    if not argv:
        reader.fault("command", "is needed")
    return Exec(argv=argv)


def _http(reader: Reader, ports: _Ports) -> HttpGet:
    fields = {"host", "httpHeaders", "path", "port", "scheme"}
    reader.accept(fields, ignored=frozenset(), refused={})
    scheme = reader.text("scheme", "HTTP")
    if scheme not in ("HTTP", "HTTPS"):
        reader.fault("scheme", "must be HTTP or HTTPS")
    headers = [(item.text("name", None), item.text("value", "")) for item in
               reader.items("httpHeaders")]  # fmt: skip
    path = reader.text("path", "/")
    return HttpGet(
        port=ports.read(reader),
        path=path if path.startswith("/") else f"/{path}",
        host=reader.text("host", "") or None,
        https=scheme == "HTTPS",
        headers=tuple(headers),
    )
