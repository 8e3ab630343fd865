from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.errors import SpecError
from sluice.platforms.local import parse_template
from sluice.platforms.local.process_spec import (
    ContainerPort,
    Exec,
    HttpGet,
    Probe,
    Sleep,
    TcpSocket,
    expand,
    render,
)

EXAMPLES = Path(__file__).parents[3] / "examples"
HTTP = {"name": "http", "containerPort": 80}
CONTAINER = {"name": "model", "command": ["serve"], "ports": [HTTP]}


def template(pod: Mapping[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    return {"metadata": {}, "spec": {"containers": [{**CONTAINER, **container}], **(pod or {})}}


def faults(value: Mapping[str, Any], **options: Any) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        parse_template(value, **options)
    return {fault.path: fault.reason for fault in caught.value.faults}


def test_command_and_args_are_one_command_line() -> None:
    spec, ignored = parse_template(template(args=["--port", "$(PORT)"], workingDir="app"))
    assert spec.argv == ("serve", "--port", "$(PORT)")
    assert (spec.workdir, spec.grace_s, spec.traffic) == ("app", 30, "http")
    assert ignored == ()


def test_probes_get_the_defaults_of_kubernetes() -> None:
    spec, _ = parse_template(
        template(
            readinessProbe={"httpGet": {"port": 80}},
            livenessProbe={"tcpSocket": {"port": "http"}, "failureThreshold": 5},
            startupProbe={"exec": {"command": ["ok"]}, "periodSeconds": 2, "timeoutSeconds": 3},
        )
    )
    assert spec.readiness == Probe(ask=HttpGet(port="http", path="/"))
    assert (spec.readiness.period_s, spec.readiness.timeout_s) == (10, 1)
    assert (spec.readiness.failure_threshold, spec.readiness.success_threshold) == (3, 1)
    assert spec.liveness == Probe(ask=TcpSocket(port="http"), failure_threshold=5)
    assert spec.startup == Probe(ask=Exec(argv=("ok",)), period_s=2, timeout_s=3)


def test_without_a_readiness_probe_the_port_must_accept_connections() -> None:
    spec, _ = parse_template(template())
    assert spec.readiness.ask == TcpSocket(port="http")


def test_an_http_probe_keeps_scheme_host_path_and_headers() -> None:
    ask = {
        "port": "http",
        "path": "v2/health/ready",
        "scheme": "HTTPS",
        "host": "127.0.0.2",
        "httpHeaders": [{"name": "x-probe", "value": "1"}],
    }
    spec, _ = parse_template(template(readinessProbe={"httpGet": ask}))
    assert spec.readiness.ask == HttpGet(
        port="http",
        path="/v2/health/ready",
        host="127.0.0.2",
        https=True,
        headers=(("x-probe", "1"),),
    )


@pytest.mark.parametrize(
    ("hook", "expected"),
    [
        pytest.param({"sleep": {"seconds": 3}}, Sleep(seconds=3), id="sleep"),
        pytest.param({"exec": {"command": ["bye"]}}, Exec(argv=("bye",)), id="exec"),
        pytest.param({"httpGet": {"port": 80}}, HttpGet(port="http"), id="http"),
    ],
)
def test_a_pre_stop_hook_is_read(hook: Mapping[str, Any], expected: object) -> None:
    spec, _ = parse_template(template(lifecycle={"preStop": hook}))
    assert spec.pre_stop == expected


def test_fields_without_meaning_are_named_with_their_paths() -> None:
    _, ignored = parse_template(
        template(
            {"affinity": {}, "securityContext": {"runAsNonRoot": True}},
            image="registry/model:1",
            resources={"limits": {"cpu": 1}},
            imagePullPolicy="IfNotPresent",
        )
    )
    container = "spec.template.spec.containers[0]"
    assert set(ignored) == {
        "spec.template.spec.affinity",
        "spec.template.spec.securityContext",
        f"{container}.image",
        f"{container}.resources",
        f"{container}.imagePullPolicy",
    }


def test_every_field_that_would_change_what_runs_is_refused_at_once() -> None:
    found = faults(
        template(
            {
                "initContainers": [{"name": "load"}],
                "volumes": [{"name": "models"}],
                "hostNetwork": True,
            },
            envFrom=[{"configMapRef": {"name": "x"}}],
            volumeMounts=[{"name": "models", "mountPath": "/m"}],
            env=[{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            lifecycle={"postStart": {"exec": {"command": ["x"]}}},
            readinessProbe={"grpc": {"port": 80}},
        )
    )
    pod, container = "spec.template.spec", "spec.template.spec.containers[0]"
    assert found.keys() == {
        f"{pod}.initContainers",
        f"{pod}.volumes",
        f"{pod}.hostNetwork",
        f"{container}.envFrom",
        f"{container}.volumeMounts",
        f"{container}.env[0].valueFrom",
        f"{container}.lifecycle.postStart",
        f"{container}.readinessProbe.grpc",
    }


def test_a_container_needs_a_command() -> None:
    value = template()
    del value["spec"]["containers"][0]["command"]
    found = faults(value)
    assert "no image says what to run" in found["spec.template.spec.containers[0].command"]


def test_a_sidecar_is_refused() -> None:
    value = template()
    value["spec"]["containers"].append({"name": "logger", "command": ["log"]})
    assert "sidecars" in faults(value)["spec.template.spec.containers[1]"]


@pytest.mark.parametrize(
    ("change", "path", "reason"),
    [
        pytest.param({"comand": ["x"]}, "comand", "did you mean command?", id="typo"),
        pytest.param({"command": "serve"}, "command", "list of texts", id="command-text"),
        pytest.param({"command": []}, "command", "is needed", id="command-empty"),
        pytest.param({"args": ["--n", 3]}, "args", "quote numbers", id="number-in-args"),
        pytest.param({"env": [{"value": "x"}]}, "env[0].name", "is needed", id="nameless"),
        pytest.param({"env": [{"name": "N", "value": 3}]}, "env[0].value", "quote", id="number"),
        pytest.param({"env": "x"}, "env", "must be a list", id="env-text"),
        pytest.param({"env": ["x"]}, "env[0]", "must be an object", id="env-item"),
        pytest.param({"ports": [{"name": "http"}]}, "ports[0].containerPort", "needed", id="port"),
        pytest.param(
            {"ports": [{"containerPort": 80}, {"containerPort": 80}]},
            "ports[1]",
            "twice",
            id="port-twice",
        ),
        pytest.param(
            {"ports": [{"name": "grpc", "containerPort": 70_000}]},
            "ports[0].containerPort",
            "at most 65535",
            id="port-range",
        ),
        pytest.param(
            {"ports": [{"name": "grpc", "containerPort": 81}]},
            "ports",
            "no port 'http'",
            id="no-traffic-port",
        ),
        pytest.param(
            {"readinessProbe": {"httpGet": {"port": 81}}},
            "readinessProbe.httpGet.port",
            "no port 81",
            id="probe-port",
        ),
        pytest.param(
            {"readinessProbe": {"httpGet": {"port": "http", "scheme": "FTP"}}},
            "readinessProbe.httpGet.scheme",
            "HTTP or HTTPS",
            id="scheme",
        ),
        pytest.param(
            {"readinessProbe": {"periodSeconds": 1}}, "readinessProbe", "exactly one", id="no-ask"
        ),
        pytest.param(
            {"readinessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 0}},
            "readinessProbe.periodSeconds",
            "at least 1",
            id="period",
        ),
        pytest.param(
            {"readinessProbe": {"tcpSocket": {"port": 80}, "timeoutSeconds": "1"}},
            "readinessProbe.timeoutSeconds",
            "must be a number",
            id="period-text",
        ),
        pytest.param(
            {"lifecycle": {"preStop": {"exec": {"command": ["x"]}, "sleep": {"seconds": 1}}}},
            "lifecycle.preStop",
            "exactly one",
            id="two-hooks",
        ),
    ],
)
def test_a_fault_names_its_path_and_what_to_do(
    change: Mapping[str, Any], path: str, reason: str
) -> None:
    found = faults(template(**change))
    assert reason in found[f"spec.template.spec.containers[0].{path}"]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        pytest.param(lambda value: value.update(spec=None), "containers", id="no-spec"),
        pytest.param(lambda value: value.update(spec=3), "containers", id="spec-number"),
        pytest.param(lambda value: value["spec"].update(containers=[]), "containers", id="empty"),
        pytest.param(
            lambda value: value["spec"].update(restartPolicy="Never"), "restartPolicy", id="never"
        ),
    ],
)
def test_a_pod_that_cannot_be_a_replica_is_refused(
    change: Callable[[dict[str, Any]], None], path: str
) -> None:
    value = template()
    change(value)
    assert f"spec.template.spec.{path}" in faults(value)


def test_empty_refused_fields_are_harmless() -> None:
    parse_template(template({"volumes": [], "hostNetwork": False}, volumeMounts=[]))


def test_a_container_without_ports_has_the_one_that_takes_requests() -> None:
    assert parse_template(template(ports=[]))[0].ports == (ContainerPort(number=0, name="http"),)
    spec, _ = parse_template(template(ports=[]), port=9000)
    assert (spec.ports, spec.traffic) == ((ContainerPort(number=9000, name="9000"),), "9000")


def test_the_ports_of_this_machine_win_over_those_of_the_template() -> None:
    spec, _ = parse_template(
        template(
            args=["--port=$(PORT)", "--url=$(URL)", "$(UNKNOWN)", "$$(PORT)"],
            ports=[
                {"name": "http", "containerPort": 80},
                {"name": "my-metrics", "containerPort": 81},
            ],
            env=[
                {"name": "PORT", "value": "80"},
                {"name": "URL", "value": "http://$(POD_IP):$(PORT)"},
                {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "LATER", "value": "$(POD_IP)/$(POD)"},
            ],
        )
    )
    argv, env = render(
        spec, name="taxi-v1-0", host="127.0.0.1", ports={"http": 20_001, "my-metrics": 20_002}
    )
    assert env == {
        "PORT": "20001",
        "PORT_HTTP": "20001",
        "PORT_MY_METRICS": "20002",
        "URL": "http://$(POD_IP):20001",
        "POD": "taxi-v1-0",
        "POD_IP": "127.0.0.1",
        "LATER": "127.0.0.1/taxi-v1-0",
    }
    assert argv == ("serve", "--port=20001", f"--url={env['URL']}", "$(UNKNOWN)", "$(PORT)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(B)", "$(B)"),
        ("$A $( $(A", "$A $( $(A"),
        ("x$(A)y$(A)", "x1y1"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text: str, expected: str) -> None:
    assert expand(text, {"A": "1"}) == expected


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("**/release-*.yaml")), ids=lambda p: p.name)
def test_the_examples_can_be_rehearsed(path: Path) -> None:
    release = yaml.safe_load(path.read_text())
    spec, ignored = parse_template(release["spec"]["template"])
    assert spec.traffic == "http"
    assert "spec.template.spec.containers[0].image" in ignored
