import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.cli.conftest import Run
from tests.unit.cli.fake_cluster import FakeCluster
from tests.unit.reports.samples import HEALTHY, NOW, PROMOTED, RUNNING, V1, V2

from sluice.cli.exits import ExitCode
from sluice.cli.promotion import command
from sluice.cli.promotion.environments import Environment, environment_of, namespace_in
from sluice.cli.promotion.evidence import EVIDENCE
from sluice.cli.promotion.overlay import with_component
from sluice.cli.promotion.source import unpinned
from sluice.errors import StateError
from sluice.kube.kinds import DEPLOYMENT, NAMESPACE, POD, RELEASE
from sluice.nouns import VerdictKind
from sluice.reports.model import Decision

DIGEST = "sha256:" + "1" * 64
IMAGE = "registry.example/taxi:2"
DEV, STAGING, PRODUCTION = "taxi-dev", "taxi-staging", "taxi-production"
NEW = {"image": IMAGE, "bundle": "models/2", "digest": DIGEST}
OLD = {"image": "registry.example/taxi:1", "bundle": "models/1", "digest": "sha256:" + "0" * 64}


@pytest.fixture(autouse=True)
def _ada(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "who", lambda: "ada")
    monkeypatch.setattr(command, "now_ms", lambda: NOW)


def spec_of(what: dict[str, str], *, replicas: int, level: str) -> dict[str, Any]:
    env = [{"name": "LEVEL", "value": level}, {"name": "MODEL_API_BUNDLE", "value": what["bundle"]}]
    container = {"name": "model", "image": what["image"], "env": env}
    return {
        "replicas": replicas,
        "model": {"digest": what["digest"]},
        "strategy": {"canary": {}},
        "template": {"spec": {"containers": [container]}},
    }


def passed(**changes: Any) -> Decision:
    """The decision that made version 2 stable, on passed checks."""
    assert PROMOTED.verdict is not None
    verdict = replace(PROMOTED.verdict, kind=VerdictKind.PASSED)
    return replace(PROMOTED, **{"revision": V2, "verdict": verdict, "by": "", **changes})


STABLE = replace(HEALTHY, name="taxi", stable=V2, candidate=None)


@pytest.fixture
def environments(cluster: FakeCluster) -> FakeCluster:
    """Version 2 promoted in dev; version 1 in staging and production."""
    cluster.remove("taxi")
    cluster.decisions = (passed(),)
    cluster.put(STABLE, DEV, **spec_of(NEW, replicas=1, level="debug"))
    cluster.put(STABLE, STAGING, **spec_of(OLD, replicas=2, level="info"))
    cluster.put(STABLE, PRODUCTION, **spec_of(OLD, replicas=9, level="warn"))
    return cluster


def object_in(cluster: FakeCluster, namespace: str) -> dict[str, Any]:
    found = cluster.api.store.find(RELEASE, namespace, "taxi")
    assert found is not None
    return found.obj


def test_images_model_and_evidence_go_and_the_rest_stays(
    sluice: Run, environments: FakeCluster
) -> None:
    before = copy.deepcopy(object_in(environments, STAGING)["spec"])
    ran = sluice("promote-to", "staging", "-n", DEV)
    assert ran.code == 0, ran.err
    after = object_in(environments, STAGING)
    container = after["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == IMAGE
    assert container["env"] == [
        {"name": "LEVEL", "value": "info"},
        {"name": "MODEL_API_BUNDLE", "value": "models/2"},
    ]
    assert after["spec"]["model"] == {"digest": DIGEST}
    for field in ("replicas", "strategy"):
        assert after["spec"][field] == before[field]
    assert object_in(environments, PRODUCTION)["spec"]["model"] == {"digest": OLD["digest"]}


def test_evidence_says_verdict_counts_who_and_when(
    sluice: Run, environments: FakeCluster, tmp_path: Path
) -> None:
    pod = POD.new("taxi-v2-0", DEV, spec={"containers": []})
    pod["metadata"]["labels"] = {"sluice.dev/release": "taxi", "sluice.dev/revision": V2}
    pod["status"] = {"containerStatuses": [{"name": "model", "imageID": "taxi@sha256:abc"}]}
    environments.api.store.put(POD, pod, {})
    file = tmp_path / "evidence.json"
    assert sluice("promote-to", "staging", "-n", DEV, "--evidence", str(file)).code == 0
    whole = json.loads(file.read_text())
    assert whole["verdict"]["kind"] == "passed"
    assert whole["verdict"]["checks"]
    assert [decision["kind"] for decision in whole["decisions"]] == ["Promoted"]
    assert whole["image_ids"] == {"model": "taxi@sha256:abc"}
    short = json.loads(object_in(environments, STAGING)["metadata"]["annotations"][EVIDENCE])
    assert short["verdict"]["kind"] == "passed"
    assert short["carried"]["by"] == "ada"
    assert short["promoted"]["at"].startswith("2026-03-01T")
    assert short["environment"] == "dev"
    assert len(json.dumps(short)) < 2_000


def test_evidence_of_the_environment_before_travels_on(
    sluice: Run, environments: FakeCluster
) -> None:
    assert sluice("promote-to", "staging", "-n", DEV).code == 0
    assert sluice("promote-to", "production", "-n", STAGING).code == 0
    short = json.loads(object_in(environments, PRODUCTION)["metadata"]["annotations"][EVIDENCE])
    assert (short["environment"], short["before"]["environment"]) == ("staging", "dev")


def test_promoting_again_changes_only_the_evidence(sluice: Run, environments: FakeCluster) -> None:
    assert sluice("promote-to", "staging", "-n", DEV).code == 0
    generation = object_in(environments, STAGING)["metadata"]["generation"]
    ran = sluice("promote-to", "staging", "-n", DEV)
    assert "ran it already" in ran.out
    assert object_in(environments, STAGING)["metadata"]["generation"] == generation


@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param(RUNNING, "is Progressing", id="in-a-pass"),
        pytest.param(replace(STABLE, candidate=V1, phase="Aborted"), "is Aborted", id="aborted"),
        pytest.param(replace(STABLE, stable=None), "nothing that was promoted", id="nothing"),
    ],
)
def test_only_what_is_promoted_and_at_rest_is_carried(
    sluice: Run, environments: FakeCluster, status: Any, said: str
) -> None:
    environments.write(status, DEV)
    ran = sluice("promote-to", "staging", "-n", DEV, "--force")
    assert (ran.code, said in ran.err) == (ExitCode.FAILED, True), ran.err
    assert EVIDENCE not in object_in(environments, STAGING)["metadata"].get("annotations", {})


def test_another_revision_than_the_stable_one_is_refused(
    sluice: Run, environments: FakeCluster
) -> None:
    ran = sluice("promote-to", "staging", "-n", DEV, "--revision", V1)
    assert (ran.code, f"{V1} is not promoted" in ran.err) == (ExitCode.FAILED, True)


def test_spec_that_is_not_what_is_served_is_refused(sluice: Run, environments: FakeCluster) -> None:
    served = spec_of(OLD, replicas=1, level="debug")
    deployment = DEPLOYMENT.new(f"taxi-{V2}", DEV, spec={**served, "selector": {"a": "b"}})
    environments.api.store.put(DEPLOYMENT, deployment, {})
    ran = sluice("promote-to", "staging", "-n", DEV)
    assert (ran.code, "is not what its spec asks for" in ran.err) == (ExitCode.FAILED, True)


@pytest.mark.parametrize(
    ("decision", "said"),
    [
        pytest.param(passed(reason="FirstRevision", verdict=None), "first revision", id="first"),
        pytest.param(passed(verdict=None, by="berta"), "by berta on no verdict", id="by-a-person"),
        pytest.param(passed(revision=V1), "there is no evidence", id="forgotten"),
    ],
)
def test_without_evidence_only_force_carries_it_and_that_is_recorded(
    sluice: Run, environments: FakeCluster, decision: Decision, said: str
) -> None:
    environments.decisions = (decision,)
    environments.write(STABLE, DEV)
    ran = sluice("promote-to", "staging", "-n", DEV)
    assert (ran.code, said in ran.err) == (ExitCode.FAILED, True), ran.err
    assert "--force overrules" in ran.err
    assert sluice("promote-to", "staging", "-n", DEV, "--force").code == 0
    short = json.loads(object_in(environments, STAGING)["metadata"]["annotations"][EVIDENCE])
    assert said in short["forced"][0]


def test_the_order_is_kept_unless_forced(sluice: Run, environments: FakeCluster) -> None:
    ran = sluice("promote-to", "production", "-n", DEV)
    assert (ran.code, "comes to production from staging" in ran.err) == (ExitCode.FAILED, True)
    assert sluice("promote-to", "production", "-n", DEV, "--force").code == 0
    assert sluice("promote-to", "dev", "-n", DEV, "--force").code == ExitCode.FAILED


def test_production_takes_nothing_that_is_not_pinned_even_by_force(
    sluice: Run, environments: FakeCluster
) -> None:
    loose = spec_of({**NEW, "image": "registry.example/taxi:latest"}, replicas=1, level="info")
    environments.remove("taxi", STAGING)
    environments.put(STABLE, STAGING, **loose)
    ran = sluice("promote-to", "production", "-n", STAGING, "--force")
    assert (ran.code, "names no fixed version" in ran.err) == (ExitCode.FAILED, True)


@pytest.mark.parametrize(
    ("image", "digest", "count"),
    [
        pytest.param("taxi@sha256:abc", None, 0, id="digest"),
        pytest.param("host:5000/taxi:2", DIGEST, 0, id="tag-and-model"),
        pytest.param("host:5000/taxi:2", None, 1, id="tag-alone"),
        pytest.param("host:5000/taxi", DIGEST, 1, id="no-tag"),
        pytest.param("taxi:latest", DIGEST, 1, id="latest"),
    ],
)
def test_pinned_is_a_digest_or_a_tag_with_the_models_digest(
    image: str, digest: str | None, count: int
) -> None:
    assert len(unpinned({"model": image}, digest)) == count


def test_target_must_be_there_and_have_the_same_containers(
    sluice: Run, environments: FakeCluster
) -> None:
    ran = sluice("promote-to", "staging", "-n", DEV, "--to-namespace", "elsewhere")
    assert ran.code == ExitCode.NOTHING_THERE
    assert "kubectl apply -k k8s/overlays/staging" in ran.err
    other = spec_of(OLD, replicas=2, level="info")
    other["template"]["spec"]["containers"][0]["name"] = "server"
    environments.remove("taxi", STAGING)
    environments.put(STABLE, STAGING, **other)
    ran = sluice("promote-to", "staging", "-n", DEV)
    assert (ran.code, "container of the same name" in ran.err) == (ExitCode.FAILED, True)


def test_an_edit_at_the_same_moment_is_not_overwritten(
    sluice: Run, environments: FakeCluster
) -> None:
    environments.api.refuse("PATCH", RELEASE, 409, "the object has been modified")
    ran = sluice("promote-to", "staging", "-n", DEV)
    assert (ran.code, "has been modified" in ran.err) == (ExitCode.FAILED, True)


def test_unknown_environment_of_the_source_asks_for_it(
    sluice: Run, environments: FakeCluster
) -> None:
    environments.put(STABLE, "shop", **spec_of(NEW, replicas=1, level="debug"))
    ran = sluice("promote-to", "staging", "-n", "shop")
    assert (ran.code, "say --from dev" in ran.err) == (ExitCode.USAGE, True)
    ran = sluice("promote-to", "staging", "-n", "shop", "--from", "dev")
    assert (ran.code, "--to-namespace" in ran.err) == (ExitCode.USAGE, True)
    words = ["-n", "shop", "--from", "dev", "--to-namespace", STAGING]
    assert sluice("promote-to", "staging", *words).code == 0


@pytest.mark.parametrize(
    ("labels", "home", "name", "found"),
    [
        pytest.param({}, {}, "taxi-dev", "dev", id="name"),
        pytest.param({}, {}, "production", "production", id="whole-name"),
        pytest.param({}, {"sluice.dev/environment": "staging"}, "shop", "staging", id="namespace"),
        pytest.param({"sluice.dev/environment": "dev"}, {}, "x-staging", "dev", id="release"),
        pytest.param({}, {}, "developers", None, id="part-of-a-word"),
        pytest.param({"sluice.dev/environment": "test"}, {}, "shop", None, id="unknown-label"),
    ],
)
def test_environment_is_told_by_labels_and_names(
    labels: dict[str, str], home: dict[str, str], name: str, found: str | None
) -> None:
    release = RELEASE.new("taxi", name)
    release["metadata"]["labels"] = labels
    namespace = NAMESPACE.new(name)
    namespace["metadata"]["labels"] = home
    assert environment_of(release, namespace, name) == found


def test_namespace_of_the_next_environment_has_its_word() -> None:
    assert namespace_in("taxi-dev", Environment.DEV, Environment.STAGING) == "taxi-staging"
    assert namespace_in("dev", Environment.DEV, Environment.STAGING) == "staging"
    assert namespace_in("shop", Environment.DEV, Environment.STAGING) is None


# --- for Git ---

BASE = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: taxi-staging
resources:
- release.yaml  # ours
"""


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl builds overlays, and there is none")
    release = RELEASE.new("taxi", spec=spec_of(OLD, replicas=2, level="info"))
    release["metadata"]["annotations"] = {"owner": "fares"}
    (tmp_path / "release.yaml").write_text(yaml.safe_dump(release))
    (tmp_path / "kustomization.yaml").write_text(BASE)
    return tmp_path


def test_overlay_builds_to_what_was_carried_and_its_own_files_stay(
    sluice: Run, environments: FakeCluster, overlay: Path
) -> None:
    before = copy.deepcopy(object_in(environments, STAGING))
    ran = sluice("promote-to", "staging", "-n", DEV, "--write", str(overlay))
    assert ran.code == 0, ran.err
    assert (overlay / "kustomization.yaml").read_text() == BASE + "components:\n- promoted\n"
    component = (overlay / "promoted" / "kustomization.yaml").read_text()
    assert IMAGE in component
    assert "replicas" not in component
    assert "LEVEL" not in component
    assert object_in(environments, STAGING) == before
    again = sluice("promote-to", "staging", "-n", DEV, "--write", str(overlay))
    assert again.code == 0, again.err
    assert (overlay / "promoted" / "kustomization.yaml").read_text() == component


def test_overlay_that_sets_the_image_itself_is_left_as_it_was(
    sluice: Run, environments: FakeCluster, overlay: Path
) -> None:
    text = BASE + "images:\n- {name: registry.example/taxi, newTag: '7'}\n"
    (overlay / "kustomization.yaml").write_text(text)
    ran = sluice("promote-to", "staging", "-n", DEV, "--write", str(overlay))
    assert (ran.code, "sets the pod template itself" in ran.err) == (ExitCode.FAILED, True), ran.err
    assert (overlay / "kustomization.yaml").read_text() == text
    assert not (overlay / "promoted").exists()


def test_folder_without_an_overlay_is_named(
    sluice: Run, environments: FakeCluster, tmp_path: Path
) -> None:
    ran = sluice("promote-to", "staging", "-n", DEV, "--write", str(tmp_path))
    assert (ran.code, "is no overlay" in ran.err) == (ExitCode.NOTHING_THERE, True)
    words = ["-n", DEV, "--write", str(tmp_path), "--to-namespace", STAGING]
    assert sluice("promote-to", "staging", *words).code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("kind: K\n", "kind: K\ncomponents:\n- promoted\n", id="none"),
        pytest.param(
            "components:\n  - ../a # why\nnamespace: x\n",
            "components:\n  - ../a # why\n  - promoted\nnamespace: x\n",
            id="behind-the-last",
        ),
        pytest.param("components:\n- promoted\n", "components:\n- promoted\n", id="there"),
    ],
)
def test_component_is_named_once_and_comments_stay(before: str, after: str) -> None:
    assert with_component(before, "k.yaml") == after


def test_components_on_one_line_are_left_to_a_person() -> None:
    with pytest.raises(StateError, match="add `- promoted`"):
        with_component("components: [a, b]\n", "k.yaml")
