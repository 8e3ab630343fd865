"""The API server refuses what ``sluice lint`` refuses, in the same words, and nothing else."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.crd_server import CrdServer, serving
from tests.support.cluster import reach
from tests.unit.spec.documents import ANSWERED, FAST, POLICY, RELEASE, changed
from tests.unit.spec.parity import CASES, Case
from tools.crd.exceptions import LEFT

from sluice.errors import SpecError
from sluice.spec import Release, from_cluster, from_objects, revision_of, to_plan

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
GOOD = [
    *(path for path in (ROOT / "examples").rglob("*.yaml") if path.name != "kustomization.yaml"),
    *(ROOT / "tests/golden/plan").glob("*.yaml"),
]
BAD = sorted((ROOT / "tests/golden/spec-errors").glob("*.yaml"))
BY = {left.key: left.by for left in LEFT}
KINDS = ("Release", "ReleasePolicy")
SLOS = (ANSWERED, FAST)
NOT_HERE = ("is in the given files", "belongs to release", "is given already", "has live traffic")
"""Faults between documents, which the API server does not see."""


@pytest.fixture(scope="module")
def server() -> Iterator[CrdServer]:
    asyncio.run(_reached())
    with serving() as found:
        yield found


async def _reached() -> None:
    await (await reach()).close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_wrong_document_is_refused_by_whom_the_table_says(case: Case, server: CrdServer) -> None:
    answer = server.ask(case.document)
    if case.by == "cel":
        assert not answer.accepted
        assert case.said in answer.message
    else:
        assert answer.accepted is (BY[case.by] != "server"), answer.message


def good() -> list[Any]:
    return [
        pytest.param(document, id=f"{path.stem}-{document['metadata']['name']}")
        for path in sorted(GOOD)
        for document in yaml.safe_load_all(path.read_text())
        if document["kind"] in KINDS
    ]


@pytest.mark.parametrize("document", good())
def test_a_good_document_is_taken_and_means_the_same_when_it_is_read_back(
    document: dict[str, Any], server: CrdServer
) -> None:
    answer = server.ask(document)
    assert answer.accepted, answer.message
    assert {"uid", "managedFields"} < set(answer.object["metadata"])
    back = from_cluster({**answer.object, "apiVersion": document["apiVersion"], "status": {}})
    if document["kind"] == "Release":
        ours, theirs = alone(document), alone(back)
        assert revision_of(theirs) == revision_of(ours)
        assert to_plan(theirs) == to_plan(ours)
    else:
        assert spec_of(back) == spec_of(document)


def alone(document: dict[str, Any]) -> Release:
    spec = {key: value for key, value in document["spec"].items() if key != "policyRef"}
    return from_objects([{**document, "spec": spec}]).releases[0]


def spec_of(policy: dict[str, Any]) -> Any:
    names = [o["sloRef"] for o in policy["spec"].get("objectives", []) if "sloRef" in o]
    slos = [changed(ANSWERED, {"metadata/name": name}) for name in names]
    return from_objects([policy, *slos]).policies[0].spec


def bad() -> list[Any]:
    found = []
    for path in BAD:
        try:
            documents = list(yaml.safe_load_all(path.read_text()))
        except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError):
            continue  # no YAML: no client sends it
        found += [
            pytest.param(document, id=f"{path.stem}-{number}")
            for number, document in enumerate(documents)
            if isinstance(document, dict)
            and document.get("kind") in KINDS
            and document.get("apiVersion") == RELEASE["apiVersion"]
        ]
    return found


@pytest.mark.parametrize("document", bad())
def test_the_bad_documents_of_the_loader_are_refused(
    document: dict[str, Any], server: CrdServer
) -> None:
    try:
        reasons = faults(document)
    except (TypeError, ValueError):
        pytest.skip("no JSON: kubectl cannot send it")
    answer = server.ask(document)
    assert answer.accepted is (not reasons), (reasons, answer.message)


def faults(document: dict[str, Any]) -> list[str]:
    json.dumps(document, allow_nan=False)
    try:
        from_objects([document, *SLOS, *([POLICY] if document["kind"] == "Release" else [])])
    except SpecError as error:
        told = [fault.reason for fault in error.faults]
        return [reason for reason in told if not any(words in reason for words in NOT_HERE)]
    return []


POD = {
    "metadata": {"labels": {"team": "ml"}, "annotations": {"a/b": "c"}},
    "spec": {
        "serviceAccountName": "taxi",
        "terminationGracePeriodSeconds": 60,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
        ],
        "initContainers": [
            {"name": "fetch", "image": "a:1", "restartPolicy": "Always", "args": ["x"]}
        ],
        "volumes": [{"name": "models", "emptyDir": {"sizeLimit": "1Gi"}}],
        "somethingOfNextYear": {"deep": [{"er": 1}]},
        "containers": [
            {
                "name": "model",
                "image": "sluice/model-api:1",
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "A", "value": "2"},
                    {"name": "P", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
                "envFrom": [{"configMapRef": {"name": "c"}}],
                "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
                "resources": {"limits": {"cpu": 1, "memory": "1Gi"}},
                "volumeMounts": [{"name": "models", "mountPath": "/models", "readOnly": True}],
                "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                "readinessProbe": {"httpGet": {"path": "/", "port": "http", "httpHeaders": []}},
                "livenessProbe": {"grpc": {"port": 9, "service": "x"}},
                "securityContext": {"capabilities": {"drop": ["ALL"]}},
            },
            {"name": "sidecar", "image": "b:1", "startupProbe": {"exec": {"command": ["true"]}}},
        ],
    },
}


def test_no_field_of_a_pod_is_dropped_refused_or_added(server: CrdServer) -> None:
    answer = server.ask(changed(RELEASE, {"spec/template": deepcopy(POD)}))
    assert answer.accepted, answer.message
    assert answer.object["spec"]["template"] == POD


def test_what_is_left_out_is_filled_with_what_the_loader_takes(server: CrdServer) -> None:
    answer = server.ask(changed(RELEASE, {"spec/traffic": {}, "spec/strategy": {"rolling": {}}}))
    spec = answer.object["spec"]
    assert spec["traffic"] == {"port": "http", "timeout": "30s"}
    assert spec["strategy"] == {"rolling": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    assert (spec["keepWarm"], spec["revisionHistoryLimit"]) == ("10m", 10)


@pytest.mark.parametrize("kind", ["Release", "ReleasePolicy"])
def test_kubectl_apply_says_the_words(kind: str, server: CrdServer) -> None:
    wanted = {"Release": "falling-weight", "ReleasePolicy": "short-lease"}[kind]
    case = next(case for case in CASES if case.id == wanted)
    arguments = ("apply", "--dry-run=server", "--validate=strict", "-f", "-")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        server.kubectl(*arguments, documents=[case.document])
    assert case.said in caught.value.output
    base = RELEASE if kind == "Release" else POLICY
    assert "created (server dry run)" in server.kubectl(*arguments, documents=[base])


def test_a_status_as_the_controller_writes_it_is_shown(server: CrdServer) -> None:
    name = f"releases.{server.group}"
    status = {
        "observedGeneration": 1,
        "phase": "Progressing",
        "stage": "canary 2/5",
        "weight": "5%",
        "stable": "0a1b2c3d4e",
        "candidate": "1a1b2c3d4e",
        "verdict": "inconclusive",
        "message": "waits for evidence",
        "replicas": 2,
        "selector": "sluice.dev/release=taxi",
        "conditions": [
            {
                "type": "Progressing",
                "status": "True",
                "reason": "Canary",
                "message": "on its way",
                "lastTransitionTime": "2026-11-30T12:00:00Z",
                "observedGeneration": 1,
            }
        ],
        "revisions": [
            {"revision": "0a1b2c3d4e", "role": "stable", "desired": 2, "ready": 2, "message": ""}
        ],
        "history": [{"at": "2026-11-30T12:00:00Z", "kind": "StepEntered", "pass": 1, "by": "ann"}],
        "routing": {"arms": [{"revision": "0a1b2c3d4e", "weight_bp": 10_000}]},
        "command": {"id": "1", "outcome": "done", "message": ""},
        "consumed": {"sluice.dev/promote": "true"},
        "problems": ["one"],
        "notices": [],
        "checkpoint": "eJw=",
        "view": "eJw=",
    }
    try:
        server.kubectl("create", "-f", "-", documents=[RELEASE])
        body = json.dumps({"status": status})
        patch = ("patch", name, "taxi", "--subresource=status", "--type=merge", "-p", body)
        server.kubectl(*patch)
        found = json.loads(server.kubectl("get", name, "taxi", "-o", "json"))
        assert found["status"] == status
        from_objects([from_cluster({**found, "apiVersion": RELEASE["apiVersion"]}), POLICY, *SLOS])
        head, row = server.kubectl("get", name).splitlines()
        assert head.split() == [
            "NAME", "PHASE", "STAGE", "WEIGHT", "STABLE", "CANDIDATE", "VERDICT", "AGE",
        ]  # fmt: skip
        assert row.split()[:5] == ["taxi", "Progressing", "canary", "2/5", "5%"]
        assert "waits for evidence" in server.kubectl("get", name, "-o", "wide")
        server.kubectl("wait", "--for=condition=Progressing", "--timeout=5s", f"{name}/taxi")
        server.kubectl("scale", f"{name}/taxi", "--replicas=3")
        scale = ("get", name, "taxi", "-o", "jsonpath={.spec.replicas}")
        assert server.kubectl(*scale) == "3"
    finally:
        server.kubectl("delete", "--ignore-not-found", name, "taxi")


def test_two_appliers_each_own_their_part_of_a_list(server: CrdServer) -> None:
    name = f"releases.{server.group}"
    first = changed(RELEASE, {"metadata/name": "shared", "spec/traffic": {"hosts": ["a.b"]}})
    image = {"spec": {"containers": [{"name": "model", "image": "sluice/model-api:2"}]}}
    second = {
        "apiVersion": first["apiVersion"],
        "kind": "Release",
        "metadata": {"name": "shared"},
        "spec": {"traffic": {"hosts": ["c.d"]}, "template": image},
    }
    apply = ("apply", "--server-side", "-f", "-")
    try:
        server.kubectl(*apply, "--field-manager=one", documents=[first])
        server.kubectl(*apply, "--field-manager=two", "--force-conflicts", documents=[second])
        found = json.loads(server.kubectl("get", name, "shared", "-o", "json"))["spec"]
        assert found["traffic"]["hosts"] == ["a.b", "c.d"]
        (container,) = found["template"]["spec"]["containers"]
        assert container["image"] == "sluice/model-api:2"
        assert container["command"] == ["model-api", "serve"]
    finally:
        server.kubectl("delete", "--ignore-not-found", name, "shared")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        pytest.param(
            "spec.strategy", "How a candidate becomes stable: one strategy", id="strategy"
        ),
        pytest.param("spec.strategy.canary.steps", "Give the candidate this share", id="steps"),
        pytest.param("status", "The revision that users have", id="status"),
    ],
)
def test_kubectl_explains_the_fields(path: str, words: str, server: CrdServer) -> None:
    version = f"--api-version={server.group}/v1alpha1"
    assert words in " ".join(server.kubectl("explain", f"release.{path}", version).split())
