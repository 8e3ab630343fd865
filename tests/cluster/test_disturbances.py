"""What breaks, or is done to the cluster, in mid-release under load: nothing is lost by it."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cluster.system import CONTROLLER, SYSTEM, System, kubectl, on_node, wait_until
from tests.conformance.cluster import ClusterWorld, cluster_world
from tests.conformance.story import Story

RPS = 80
HALF_BP = 5_000
ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.cluster, pytest.mark.alone, pytest.mark.timeout(900)]


@pytest.fixture
def world(system: System, request: pytest.FixtureRequest) -> Iterator[ClusterWorld]:
    name = request.node.name.partition("[")[2].rstrip("]") or "one"
    with cluster_world(system, name) as world:
        yield world


def _half(world: ClusterWorld, *, min_bake: str = "20s", lease: str = "10s") -> Story:
    """Half of the traffic goes to a good candidate."""
    story = Story(world)
    story.given.slo(0.95).policy(minBake=min_bake, warmUp="0s", deadline="10m", lease=lease)
    story.given.strategy(canary={"steps": [{"setWeight": 50}, {"pause": {"duration": min_bake}}]})
    story.given.stable("v1").traffic(RPS)
    story.when.candidate("v2").live(HALF_BP)
    return story


def restart_of_the_routers(world: ClusterWorld, system: System) -> None:
    kubectl("-n", SYSTEM, "rollout", "restart", "deployment/sluice-router")
    kubectl("-n", SYSTEM, "rollout", "status", "deployment/sluice-router", "--timeout=300s",
            timeout_s=310)  # fmt: skip


def drained_node(world: ClusterWorld, system: System) -> None:
    nodes = kubectl("get", "nodes", "-o", "name", "-l", "!node-role.kubernetes.io/control-plane")
    other = next(name for name in nodes.split() if not name.endswith(system.load_node))
    try:
        kubectl("drain", other, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=240s",
                timeout_s=250)  # fmt: skip
    finally:
        kubectl("uncordon", other)


def restart_of_the_api_server(world: ClusterWorld, system: System) -> None:
    on_node("sluice-control-plane", "kill -9 $(pidof kube-apiserver)")
    wait_until(
        lambda: subprocess.run(
            ["kubectl", "get", "--raw=/readyz"], capture_output=True, timeout=30
        ).returncode == 0,
        within_s=180,
        what="the API server to be back",
    )  # fmt: skip


def upgrade_of_the_chart(world: ClusterWorld, system: System) -> None:
    """Another log level: controllers and routers are made anew."""
    values = ["--reuse-values", "--set", "controller.logLevel=debug,router.logLevel=debug"]
    subprocess.run(
        ["helm", "-n", SYSTEM, "upgrade", "sluice", str(ROOT / "charts" / "sluice"), *values,
         "--wait", "--timeout", "5m"],
        check=True, capture_output=True, timeout=320,
    )  # fmt: skip


def kill_of_the_leader(world: ClusterWorld, system: System) -> None:
    labels = "app.kubernetes.io/name=sluice,app.kubernetes.io/component=controller"
    for pod in system.pods(SYSTEM, labels):
        system.kill(SYSTEM, pod, "controller")
    kubectl("-n", SYSTEM, "rollout", "status", CONTROLLER, "--timeout=120s")


CASES = [
    pytest.param(restart_of_the_routers, id="routers-restarted", marks=pytest.mark.core),
    pytest.param(drained_node, id="node-drained"),
    pytest.param(restart_of_the_api_server, id="api-server-restarted"),
    pytest.param(upgrade_of_the_chart, id="chart-upgraded"),
    pytest.param(kill_of_the_leader, id="controllers-killed"),
]


@pytest.mark.parametrize("disturb", CASES)
def test_release_reaches_its_end_and_no_request_is_lost(
    world: ClusterWorld, system: System, disturb: Callable[[ClusterWorld, System], None]
) -> None:
    story = _half(world)
    disturb(world, system)
    story.then.promoted().harmed(at_most=0).lost(0)


def test_killed_envoy_loses_at_most_what_was_in_flight_in_it(
    world: ClusterWorld, system: System
) -> None:
    story = _half(world)
    world.kill("router")
    # Answers take a few milliseconds: at this rate one or two requests are in flight in each.
    story.then.promoted().harmed(at_most=0).lost(at_most=5)


@pytest.mark.core
def test_bad_candidate_is_turned_back_while_the_api_server_is_away(
    world: ClusterWorld, system: System
) -> None:
    story = _half(world, min_bake="10m")
    try:
        system.api_server(up=False)
        story.when.faults("v2", error_rate=1.0)
        world.after(30)
    finally:
        system.api_server(up=True)
    # Half of the traffic for the polls until it is seen; for the whole time it would be 1,200.
    story.then.aborted().harmed(at_most=RPS / 2 * 6).lost(0)


@pytest.mark.core
def test_shield_shows_users_nothing_of_a_dead_candidate(world: ClusterWorld) -> None:
    story = Story(world)
    story.given.strategy(canary={"shield": {"perTryTimeout": "500ms"}}).slo(0.95)
    story.given.policy(minBake="20s", warmUp="0s").stable("v1").traffic(RPS)
    story.when.candidate("v2", error_rate=1.0)
    story.then.aborted().harmed(at_most=0).lost(0)
