import itertools
import json
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_cluster import NAMESPACE, FakeCluster
from tests.unit.reports.samples import HEALTHY, RUNNING, TURNED_BACK, V1

from sluice.cli import deploy, watch
from sluice.cli.cluster import applying
from sluice.cli.exits import ExitCode
from sluice.kube.kinds import CONFIG_MAP, RELEASE, RELEASE_POLICY, Kind

POLICY = """\
apiVersion: sluice.dev/v1alpha1
kind: ReleasePolicy
metadata: {name: taxi}
spec: {minBake: 1m}
"""
RELEASE_TEXT = """\
apiVersion: sluice.dev/v1alpha1
kind: Release
metadata: {name: taxi}
spec:
  replicas: 2
  policyRef: {name: taxi}
  strategy: {canary: {}}
  template:
    spec:
      containers:
      - {name: model, image: "taxi:2", ports: [{name: http, containerPort: 8080}]}
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applying, "LOOK_S", 0.01)
    monkeypatch.setattr(deploy, "PATIENCE_S", 0.05)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "release.yaml").write_text(RELEASE_TEXT)
    return tmp_path


def there(cluster: FakeCluster, kind: Kind, name: str, namespace: str = NAMESPACE) -> bool:
    return cluster.api.store.find(kind, namespace, name) is not None


def test_all_documents_are_applied_and_the_revision_is_the_controllers(
    sluice: Run, cluster: FakeCluster, files: Path
) -> None:
    ran = sluice("deploy", "-f", f"{files}/policy.yaml", "-f", f"{files}/release.yaml")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines() == [
        "ReleasePolicy taxi: applied",
        f"Release taxi, revision {RUNNING.candidate}: applied",
    ]
    again = sluice("deploy", "-f", f"{files}/policy.yaml", "-f", f"{files}/release.yaml")
    assert again.out.count("unchanged") == 2


def test_a_policy_that_stands_in_the_cluster_may_be_left_out(
    sluice: Run, cluster: FakeCluster, files: Path
) -> None:
    refused = sluice("deploy", "-f", f"{files}/release.yaml")
    assert refused.code == ExitCode.USAGE
    assert "policyRef" in refused.err
    assert sluice("deploy", "-f", f"{files}/policy.yaml").code == 0
    assert sluice("deploy", "-f", f"{files}/release.yaml").code == 0


def test_every_fault_of_every_file_is_told_before_anything_is_asked(
    sluice: Run, cluster: FakeCluster, files: Path
) -> None:
    (files / "policy.yaml").write_text(POLICY.replace("minBake: 1m", "minBake: soon"))
    (files / "release.yaml").write_text(RELEASE_TEXT.replace("replicas: 2", "replica: 2"))
    ran = sluice("deploy", "-f", f"{files}/policy.yaml", "-f", f"{files}/release.yaml")
    assert ran.code == ExitCode.USAGE
    assert "policy.yaml:4: spec.minBake" in ran.err
    assert "release.yaml:5: spec.replica" in ran.err
    assert not [call for call in cluster.api.calls if call.startswith("PATCH")]


def test_one_refused_document_leaves_all_of_them_out(
    sluice: Run, cluster: FakeCluster, files: Path
) -> None:
    cluster.api.refuse("PATCH", RELEASE, 422, "spec.replicas: Invalid value: 2: quota")
    ran = sluice("deploy", "-f", f"{files}/policy.yaml", "-f", f"{files}/release.yaml")
    assert ran.code == ExitCode.USAGE
    assert "nothing was applied" in ran.err
    assert "quota" in ran.err
    assert not there(cluster, RELEASE_POLICY, "taxi")


def test_an_slo_goes_into_a_config_map_of_its_own(
    sluice: Run, cluster: FakeCluster, files: Path
) -> None:
    slo = Path("examples/taxi/slo.yaml")
    ran = sluice("deploy", "-f", str(slo), "-o", "json")
    assert ran.code == 0, ran.err
    names = [row["name"] for row in json.loads(ran.out)["applied"]]
    assert names
    assert all(there(cluster, CONFIG_MAP, f"slo-{name}") for name in names)


def test_documents_go_to_the_namespace_that_they_name(
    sluice: Run, cluster: FakeCluster, files: Path
) -> None:
    for name in ("policy.yaml", "release.yaml"):
        text = (files / name).read_text()
        (files / name).write_text(
            text.replace("metadata: {name", "metadata: {namespace: shop, name")
        )
    cluster.put(RUNNING, namespace="shop")
    ran = sluice("deploy", "-f", f"{files}/policy.yaml", "-f", f"{files}/release.yaml")
    assert ran.code == 0, ran.err
    assert "Release shop/taxi" in ran.out
    assert there(cluster, RELEASE_POLICY, "taxi", "shop")


def test_spec_that_the_controller_cannot_use_is_a_bad_spec(
    sluice: Run, cluster: FakeCluster, files: Path
) -> None:
    cluster.unaccepted = "there is no Secret taxi-key"
    ran = sluice("deploy", "-f", f"{files}/policy.yaml", "-f", f"{files}/release.yaml")
    assert ran.code == ExitCode.USAGE
    assert (
        "Release taxi was applied, and the controller cannot use it: there is no Secret" in ran.err
    )


def test_deploy_without_a_controller_says_so_and_stays_applied(
    sluice: Run, cluster: FakeCluster, files: Path
) -> None:
    cluster.away = True
    words = ["deploy", "-f", f"{files}/policy.yaml", "-f", f"{files}/release.yaml"]
    ran = sluice(*words)
    assert ran.code == 0
    assert (
        "notice: the controller has not looked at taxi yet: no controller has ever led" in ran.err
    )
    waited = sluice(*words, "--wait", "--timeout", "50ms")
    assert waited.code == ExitCode.TIME_OUT
    assert "nobody has taken up taxi within 50ms" in waited.err


@pytest.mark.parametrize(
    ("end", "code"),
    [
        pytest.param(replace(HEALTHY, stable=RUNNING.candidate), 0, id="promoted"),
        pytest.param(TURNED_BACK, 1, id="aborted"),
    ],
)
def test_deploy_with_wait_ends_as_the_release_ends_in_a_cluster(
    sluice: Run,
    cluster: FakeCluster,
    files: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: object,
    code: int,
) -> None:
    statuses = itertools.chain([end], itertools.repeat(None))
    cluster.write(replace(HEALTHY, stable=V1, pass_number=2))

    def pause(_: float) -> None:
        following = next(statuses)
        if following is not None:
            cluster.write(following)  # type: ignore[arg-type]

    began = RUNNING
    look = applying.settled

    async def settled(*args: object, **more: object) -> object:
        cluster.write(began)
        return await look(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(applying, "settled", settled)
    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
    report = files / "junit.xml"
    ran = sluice(
        "deploy",
        "-f",
        f"{files}/policy.yaml",
        "-f",
        f"{files}/release.yaml",
        "--wait",
        "--timeout",
        "10s",
        "--junit",
        str(report),
    )
    assert ran.code == code, ran.err
    assert "taxi" in report.read_text()
