import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.cli.conftest import Place, Run
from tests.unit.cli.fake import named
from tests.unit.cli.fake_cluster import NAMESPACE, FakeCluster
from tests.unit.cli.keepers import InCluster
from tests.unit.reports.samples import HEALTHY, NOW, RUNNING, STARTED

from sluice.cli import look, watch
from sluice.cli.cluster import commands, controller
from sluice.cli.cluster.client import ClusterClient
from sluice.cli.cluster.seen import seen
from sluice.cli.completing import completions
from sluice.cli.exits import ExitCode
from sluice.cli.program import SLUICE
from sluice.cli.where import Where
from sluice.errors import RefusedError, TransientError
from sluice.kube.kinds import DEPLOYMENT, LEASE, RELEASE

FORBIDDEN = (
    'releases.sluice.dev "taxi" is forbidden: User "ada" cannot patch resource "releases" in API '
    'group "sluice.dev" in the namespace "ml"'
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "LOOK_S", 0.01)
    monkeypatch.setattr(commands, "COURTESY_S", 0.05)


def object_of(cluster: FakeCluster, name: str = "taxi") -> dict[str, Any]:
    found = cluster.api.store.find(RELEASE, NAMESPACE, name)
    assert found is not None
    return found.obj


def say(cluster: FakeCluster, verb: str, *, timeout_s: float = 1.0) -> str:
    body = {"verb": verb, "by": "ada"}
    kube = cluster.api.client(namespace=NAMESPACE)
    said, _ = asyncio.run(commands.command(kube, NAMESPACE, "taxi", body, timeout_s=timeout_s))
    return said


# --- verbs ---


def test_command_of_an_absent_controller_stands_and_the_line_says_so(cluster: FakeCluster) -> None:
    cluster.away = True
    with pytest.raises(TransientError) as caught:
        say(cluster, "abort", timeout_s=0.05)
    assert "did not answer abort within 0.05 s" in str(caught.value)
    assert "no controller has ever led in sluice-system: `make install`" in str(caught.value)
    standing = commands.pending(object_of(cluster))
    assert standing is not None
    assert (standing["verb"], standing["by"]) == ("abort", "ada")


@pytest.mark.parametrize(
    ("renewed", "said"),
    [
        pytest.param("2020-01-01T00:00:00.000000Z", "last renewed", id="stale"),
        pytest.param("2999-01-01T00:00:00.000000Z", "it leads and is busy", id="alive"),
        pytest.param("soon", "kubectl get pods", id="unreadable"),
    ],
)
def test_line_says_what_the_lease_tells_of_the_controller(
    cluster: FakeCluster, renewed: str, said: str
) -> None:
    cluster.away = True
    lease = LEASE.new(controller.NAME, controller.SYSTEM, spec={"renewTime": renewed})
    cluster.api.store.put(LEASE, lease, {})
    with pytest.raises(TransientError, match=said):
        say(cluster, "pause", timeout_s=0.0)


def test_command_waits_for_an_earlier_one_and_then_takes_its_place(cluster: FakeCluster) -> None:
    cluster.away = True
    with pytest.raises(TransientError):
        say(cluster, "pause", timeout_s=0.0)
    with pytest.raises(TransientError):
        say(cluster, "abort", timeout_s=0.0)
    standing = commands.pending(object_of(cluster))
    assert standing is not None
    assert standing["verb"] == "abort"


async def test_command_that_another_one_replaced_says_by_whom(cluster: FakeCluster) -> None:
    cluster.away = True
    kube = cluster.api.client(namespace=NAMESPACE)
    body = {"verb": "pause", "by": "ada"}
    mine = asyncio.create_task(commands.command(kube, NAMESPACE, "taxi", body, timeout_s=10.0))
    put = asyncio.Event()
    cluster.api.store.told.append(put.set)
    await put.wait()
    text = json.dumps({"id": "other", "verb": "abort", "by": "berta"})
    change = {"metadata": {"annotations": {commands.COMMAND: text}}}
    await kube.patch(RELEASE, "taxi", NAMESPACE, change)
    with pytest.raises(RefusedError, match="a abort by berta came right after this pause"):
        await mine


def test_command_is_said_again_when_the_release_was_written_meanwhile(
    cluster: FakeCluster,
) -> None:
    cluster.api.refuse("PATCH", RELEASE, 409, "the object has been modified")
    assert say(cluster, "pause") == "pause done"


def test_what_an_account_may_not_do_is_one_line(sluice: Run, cluster: FakeCluster) -> None:
    cluster.api.refuse("PATCH", RELEASE, 403, FORBIDDEN)
    ran = sluice("pause")
    assert ran.code == ExitCode.FAILED
    assert ran.err == (
        "kubectl sluice: account ada may not patch releases.sluice.dev in namespace ml: "
        "give it a role that allows this\n"
    )


def test_delete_waits_until_the_release_is_gone(sluice: Run, cluster: FakeCluster) -> None:
    ran = sluice("delete", "taxi", "--yes")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "taxi: deleted")
    assert cluster.api.store.find(RELEASE, NAMESPACE, "taxi") is None


@pytest.mark.parametrize(("verb", "said"), [("up", "make cluster"), ("down", "make uninstall")])
def test_a_cluster_is_not_started_but_says_what_does(
    sluice: Run, cluster: FakeCluster, verb: str, said: str
) -> None:
    ran = sluice(verb)
    assert ran.code == ExitCode.FAILED
    assert said in ran.err


# --- names and places ---


def test_releases_of_all_namespaces_carry_theirs(sluice: Run, cluster: FakeCluster) -> None:
    cluster.put(HEALTHY, namespace="shop")
    out = sluice("status", "-A", "-o", "json").out
    assert [status["name"] for status in json.loads(out)] == ["ml/taxi", "shop/taxi"]
    assert [status["name"] for status in json.loads(sluice("status", "-o", "json").out)] == ["taxi"]


def test_a_release_elsewhere_is_named_with_its_namespace(sluice: Run, cluster: FakeCluster) -> None:
    cluster.put(HEALTHY, namespace="shop")
    ran = sluice("pause", "shop/taxi")
    assert ran.out.startswith("shop/taxi: pause done")
    elsewhere = sluice("pause", "taxi", "-n", "shop")
    assert elsewhere.out.startswith("taxi: pause done")
    assert sluice("status", "nowhere/taxi").code == ExitCode.NOTHING_THERE


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["status", "taxi", "-n", "shop"], id="after"),
        pytest.param(["-n", "shop", "status", "taxi"], id="before"),
        pytest.param(["--namespace", "ml", "status", "taxi", "-n", "shop"], id="nearer-one-counts"),
    ],
)
def test_sluice_acts_on_the_cluster_when_a_namespace_is_given(
    sluice: Run, cluster: FakeCluster, place: Place, words: list[str]
) -> None:
    place.program = SLUICE
    cluster.put(HEALTHY, namespace="shop")
    ran = sluice(*words)
    assert ran.code == 0
    assert "Healthy" in ran.out


def test_hints_start_like_the_command_was_started(
    sluice: Run, cluster: FakeCluster, place: Place
) -> None:
    cluster.put(replace(HEALTHY, next="`sluice undo ml/taxi` goes back at once"))
    assert "next: `kubectl sluice undo taxi` goes" in sluice("pause").out
    assert "`kubectl sluice -n ml undo taxi`" in sluice("pause", "-n", "ml").out
    place.program = SLUICE
    assert "`sluice --context kind-x undo taxi`" in sluice("pause", "--context", "kind-x").out


def test_all_namespaces_belong_to_clusters(sluice: Run, place: Place) -> None:
    assert sluice("status", "-A").code == ExitCode.USAGE
    ran = sluice("status", "-A", "-n", "ml")
    assert (ran.code, "exclude each other" in ran.err) == (ExitCode.USAGE, True)


# --- looking ---


def test_cluster_without_sluice_says_how_it_is_installed(sluice: Run, cluster: FakeCluster) -> None:
    gone = "the server could not find the requested resource"
    cluster.api.refuse("GET", RELEASE, 404, gone, times=2)
    ran = sluice("status", "taxi")
    assert ran.code == ExitCode.NOTHING_THERE
    assert "`make install` (or the chart) installs Sluice" in ran.err


def test_cluster_out_of_reach_is_one_line(sluice: Run, cluster: FakeCluster) -> None:
    cluster.api.unreachable = "connection refused"
    ran = sluice("status")
    assert ran.code == ExitCode.NOT_MEASURED
    assert ran.err == "kubectl sluice: API server cannot be reached: connection refused\n"


def written(**status: Any) -> Mapping[str, Any]:
    return RELEASE.new("taxi", "ml", status=status) | {
        "metadata": {"name": "taxi", "namespace": "ml", "generation": 2}
    }


def test_release_that_nobody_looked_at_says_so() -> None:
    status = seen(written(), name="taxi", now_ms=NOW).status
    assert (status.name, status.reason) == ("taxi", "NotSeen")
    assert "is it installed? `make install`" in status.message


def test_fields_for_people_are_shown_before_the_first_view() -> None:
    fields = {"phase": "Paused", "stable": "aa", "candidate": "bb", "weight": "12.5%"}
    status = seen(written(**fields, message="held"), name="taxi", now_ms=NOW).status
    assert (status.phase, status.stable, status.candidate) == ("Paused", "aa", "bb")
    assert (status.weight_bp, status.message) == (1_250, "held")


def test_view_of_another_version_is_told_and_not_half_read() -> None:
    status = seen(written(phase="Healthy", view="eJw="), name="taxi", now_ms=NOW).status
    assert status.phase == "Healthy"
    assert any("another version of sluice" in line for line in status.problems)


def test_refused_spec_and_silent_controller_are_told(cluster: FakeCluster) -> None:
    refused = [{"type": "Accepted", "status": "False", "message": "no such Secret taxi-key"}]
    cluster.away = True
    cluster.write(RUNNING, conditions=refused, observedGeneration=0)
    late = RUNNING.updated_ms + 300_000
    problems = "\n".join(seen(object_of(cluster), name="taxi", now_ms=late).status.problems)
    assert "the spec is not accepted: no such Secret taxi-key" in problems
    assert "has not looked at the newest spec" in problems
    assert "the controller wrote this 5m" in problems


def test_watching_asks_once_for_each_reading(
    sluice: Run, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
    assert sluice("status", "--watch").code == 0
    assert pauses == [1.0, 1.0, 1.0]
    assert cluster.api.calls == ["GET /apis/sluice.dev/v1alpha1/namespaces/ml/releases"] * 3


def test_several_releases_are_asked_for_at_once(cluster: FakeCluster) -> None:
    cluster.put(named(HEALTHY, "fare"))
    kube = cluster.api.client(namespace=NAMESPACE)
    with ClusterClient(kube, Where(cluster=True), timeout_s=1.0) as client:
        found = client.some(["fare", "taxi"])
        assert [status.name for status in found] == ["fare", "taxi"]
        assert len(cluster.api.calls) == 1


def test_followed_logs_tell_each_line_once(
    sluice: Run, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = InCluster(cluster)
    kept.write("taxi-7f3a-b", "ready")
    news = iter([("taxi-7f3a-a", "begins"), ("taxi-7f3a-b", "GET /v2 200")])

    def pause(_: float) -> None:
        following = next(news, None)
        if following is None:
            raise KeyboardInterrupt
        kept.write(*following)

    monkeypatch.setattr(look, "time", SimpleNamespace(sleep=pause))
    ran = sluice("logs", "--follow")
    assert ran.out.splitlines() == [
        "taxi-7f3a-b | ready",
        "taxi-7f3a-a | begins",
        "taxi-7f3a-b | GET /v2 200",
    ]


def test_replay_says_that_it_used_decisions(sluice: Run, cluster: FakeCluster) -> None:
    cluster.decisions = (STARTED,)
    cluster.write(RUNNING)
    ran = sluice("explain", "--replay")
    assert ran.code == 0
    assert "a cluster keeps decisions, not every poll" in ran.out


def test_version_names_the_controller(sluice: Run, cluster: FakeCluster) -> None:
    assert "no controller runs in the cluster" in sluice("version").out
    labels = dict(pair.split("=") for pair in controller.LABELS.split(","))
    deployment = DEPLOYMENT.new("sluice-controller", controller.SYSTEM, spec={"selector": {"a": 1}})
    deployment["metadata"]["labels"] = {**labels, controller.VERSION: "9.9.9"}
    cluster.api.store.put(DEPLOYMENT, deployment, {})
    out = sluice("version").out
    assert "controller 9.9.9 in the cluster of context current" in out
    assert "`make install` brings the cluster to this version" in out


def test_kubectl_completes_names_from_the_cluster(cluster: FakeCluster) -> None:
    cluster.put(named(HEALTHY, "fare"))
    cluster.put(named(HEALTHY, "shop"), namespace="elsewhere")
    assert completions(["promote", ""]) == ["fare", "taxi"]
    assert completions(["promote", "ta"]) == ["taxi"]
    assert completions(["promote", "-n", "elsewhere", ""]) == ["shop"]
    assert "promote" in completions(["pro"])
    cluster.api.unreachable = "down"
    assert completions(["promote", ""]) == []


def test_verbs_of_a_laptop_never_load_the_kubernetes_client() -> None:
    script = (
        "import sys; from sluice.cli.main import run; run(['version']); "
        "print([name for name in sys.modules if name.startswith(('kubernetes', 'sluice.kube'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_decisions_are_part_of_the_status_as_on_a_laptop(cluster: FakeCluster) -> None:
    cluster.decisions = (STARTED,)
    cluster.write(replace(RUNNING, decisions=()))
    assert seen(object_of(cluster), name="taxi", now_ms=NOW).status.decisions == (STARTED,)
