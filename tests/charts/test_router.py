"""The router's pods leave without losing a request, and come back by themselves."""

import pytest
from tests.charts.support import Object, containers, named, render


def router(*arguments: str) -> Object:
    return named(render("sluice", *arguments), "Deployment", "sluice-router")


def environment(pod: Object, name: str) -> dict[str, str]:
    [container] = [item for item in containers(pod) if item["name"] == name]
    return {item["name"]: item.get("value", "") for item in container["env"]}


def test_a_new_router_is_ready_before_an_old_one_goes() -> None:
    strategy = router()["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_both_containers_drain_and_have_the_time_for_it() -> None:
    pod = router("--set", "router.drain.capSeconds=120")["spec"]["template"]
    for container in containers(pod):
        assert container["lifecycle"]["preStop"]["exec"]["command"] == ["sluice-router", "drain"]
        assert environment(pod, container["name"])["SLUICE_ROUTER_DRAIN_CAP_S"] == "120"
    assert pod["spec"]["terminationGracePeriodSeconds"] > 120


def test_only_the_agent_has_the_token_and_reads_the_cluster() -> None:
    pod = router("--set", "watchNamespaces={a,b}")["spec"]["template"]
    agent, envoy = environment(pod, "agent"), environment(pod, "envoy")
    assert {"SLUICE_ROUTER_TOKEN", "SLUICE_ROUTER_CLUSTER"} <= agent.keys() - envoy.keys()
    assert agent["SLUICE_ROUTER_NAMESPACES"] == "a,b"


def test_the_folder_is_shared_and_short_enough_for_a_socket() -> None:
    pod = router()["spec"]["template"]
    for container in containers(pod):
        [mount] = [m for m in container["volumeMounts"] if m["name"] == "run"]
        assert mount["mountPath"] == "/run/sluice"
        assert environment(pod, container["name"])["SLUICE_ROUTER_CONFIG_DIR"] == mount["mountPath"]


def test_readiness_is_the_agents_and_a_hanging_envoy_is_restarted() -> None:
    envoy, agent = containers(router()["spec"]["template"])
    assert agent["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "agent"}
    assert "readinessProbe" not in envoy
    assert envoy["livenessProbe"]["exec"]["command"] == ["sluice-router", "alive"]


def test_settings_become_environment() -> None:
    pod = router("--set", "router.settings.max_requests=4096")["spec"]["template"]
    assert environment(pod, "envoy")["SLUICE_ROUTER_MAX_REQUESTS"] == "4096"


@pytest.mark.parametrize(
    ("kind", "port"), [("NodePort", 30080), ("LoadBalancer", 30080), ("ClusterIP", None)]
)
def test_the_service_is_of_the_kind_asked_for(kind: str, port: int | None) -> None:
    values = f"router.service.type={kind}"
    if port is not None:
        values += f",router.service.nodePort={port}"
    service = named(render("sluice", "--set", values), "Service", "sluice-router")
    assert service["spec"]["type"] == kind
    assert service["spec"]["ports"][0].get("nodePort") == port


def test_a_gateway_needs_no_router() -> None:
    objects = render("sluice", "--set", "dataPlane=gateway,gateway.parents={infra/edge}")
    names = {item["metadata"]["name"] for item in objects}
    assert not {name for name in names if "router" in name}


def test_tokens_of_two_renderings_differ_and_a_given_one_is_not_made() -> None:
    objects = render("sluice", "--set", "agentToken.existingSecret=mine")
    assert not [item for item in objects if item["kind"] == "Secret"]
    [agent] = [
        item
        for item in containers(named(objects, "Deployment", "sluice-router")["spec"]["template"])
        if item["name"] == "agent"
    ]
    [token] = [item for item in agent["env"] if item["name"] == "SLUICE_ROUTER_TOKEN"]
    assert token["valueFrom"]["secretKeyRef"] == {"name": "mine", "key": "token"}
