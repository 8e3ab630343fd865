"""The charts on a real cluster: admitted, tested, upgraded, and with no more rights."""

import contextlib
import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts.support import CHARTS, RELEASES, REQUIRED, ROOT, ci_files, named, program
from tests.charts.test_rights import listed
from tools.generate_k8s import STRATEGIES

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

PREVIOUS = ROOT / "tests" / "charts" / "previous" / "model-api-0.1.0.tgz"
SMALL = "{requests: {cpu: 20m, memory: 64Mi}}"
SYSTEM = f"""
fullnameOverride: sluice
crds: {{install: false}}
rbac: {{userRoles: false}}
# a second controller would lead the Releases of others
controller: {{replicas: 0}}
router:
  replicas: 1
  drain: {{waitSeconds: 1, capSeconds: 5}}
  envoy: {{resources: {SMALL}}}
  agent: {{resources: {SMALL}}}
"""
MODEL = """
replicas: 1
resources: {requests: {cpu: 20m, memory: 96Mi}, limits: {memory: 384Mi}}
bundle: {path: .artifacts/models/taxi-duration/1}
"""
GATEWAY_API = {"gateway.networking.k8s.io", "monitoring.coreos.com"}
"""Groups whose definitions a cluster need not have."""


def run(*command: str, text: str | None = None, timeout_s: float = 300) -> tuple[int, str]:
    """Exit code, and what was said on both streams."""
    done = subprocess.run(
        [program(command[0]), *command[1:]],
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
    )
    return done.returncode, done.stdout


def must(*command: str, text: str | None = None) -> str:
    code, said = run(*command, text=text)
    assert code == 0, f"{' '.join(command)}: {said[-2000:]}"
    return said


def rendered(chart: str, *arguments: str) -> list[dict[str, Any]]:
    text = must("helm", "template", RELEASES[chart][0], str(CHARTS / chart), *arguments)
    return [item for item in yaml.safe_load_all(text) if item]


@pytest.fixture(scope="module", autouse=True)
def definitions() -> None:
    """Releases are known: of whoever is installed, or of the chart here."""
    program("helm")
    code, said = run("kubectl", "get", "--raw=/readyz")
    if code != 0 and REQUIRED:
        pytest.fail(f"no cluster: {said}")
    if code != 0:
        pytest.skip(f"no cluster: {said}")
    if run("kubectl", "get", "crd", "releases.sluice.dev", "releasepolicies.sluice.dev")[0] != 0:
        folder = CHARTS / "sluice" / "templates" / "crds"
        shown = [f"--show-only=templates/crds/{path.name}" for path in folder.glob("*.yaml")]
        text = yaml.safe_dump_all(rendered("sluice", "--kube-version=1.34.4", *shown))
        must("kubectl", "apply", "--server-side", "-f", "-", text=text)


@contextlib.contextmanager
def restricted() -> Iterator[str]:
    """A namespace that admits only restricted pods."""
    name = f"charts-{uuid.uuid4().hex[:6]}"
    must("kubectl", "create", "namespace", name)
    label = "pod-security.kubernetes.io/enforce=restricted"
    must("kubectl", "label", "namespace", name, label)
    yield name
    for release in ("sluice", "taxi"):
        run("helm", "uninstall", release, "-n", name, "--ignore-not-found")
    run("kubectl", "delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    """Where charts are installed."""
    with restricted() as name:
        yield name


@pytest.fixture(scope="module")
def empty() -> Iterator[str]:
    """Where nothing is ever made: the API server is only asked."""
    with restricted() as name:
        yield name


def upgrade(namespace: str, release: str, chart: Path, values: str, *arguments: str) -> str:
    command = ["helm", "upgrade", "--install", release, str(chart), "-n", namespace, "-f", "-"]
    return must(*command, "--wait", "--timeout=4m", *arguments, text=values)


def pods(namespace: str, release: str) -> list[str]:
    """Names, with how often each container has begun anew."""
    labels = f"app.kubernetes.io/instance={release}"
    text = must("kubectl", "get", "pods", "-n", namespace, "-l", labels, "-o", "json")
    return sorted(
        f"{item['metadata']['name']} {status['name']} {status['restartCount']}"
        for item in json.loads(text)["items"]
        if "helm.sh/hook" not in item["metadata"].get("annotations", {})
        for status in item["status"]["containerStatuses"]
    )


@pytest.fixture(scope="module")
def installed(namespace: str) -> str:
    """The chart sluice without a controller; its namespace."""
    upgrade(namespace, "sluice", CHARTS / "sluice", SYSTEM)
    return namespace


def rights(namespace: str, account: str) -> set[tuple[str, str, str]]:
    """What the API server says that an account may do in a namespace, others' rights left out."""
    user = f"system:serviceaccount:{namespace}:sluice-{account}"
    text = must("kubectl", "auth", "can-i", "--list", "-n", namespace, f"--as={user}")
    found = set()
    for line in text.splitlines()[1:]:
        words = line.split()
        resource, verbs = words[0], line[line.rindex("[") + 1 : line.rindex("]")].split()
        # what everybody may: ask about oneself, and read the API's own pages
        if resource.startswith(("selfsubject", "[")):
            continue
        name, _, sub = resource.partition("/")
        plural, _, group = name.partition(".")
        found |= {(group, plural + (f"/{sub}" if sub else ""), verb) for verb in verbs}
    return found


@pytest.mark.parametrize("account", ["controller", "router"])
def test_accounts_may_do_what_the_reference_lists_and_nothing_else(
    installed: str, account: str
) -> None:
    expected = listed(account, "watched", when=("readSecrets",)) | listed(account, "own")
    assert rights(installed, account) == expected
    elsewhere = f"system:serviceaccount:{installed}:sluice-{account}"
    code, said = run("kubectl", "auth", "can-i", "delete", "secrets", "-A", f"--as={elsewhere}")
    assert (code, said.split()[-1]) == (1, "no")


def test_helm_test_passes_and_fails_when_the_router_answers_otherwise(installed: str) -> None:
    assert "Succeeded" in must("helm", "test", "sluice", "-n", installed, "--timeout=2m")
    upgrade(installed, "sluice", CHARTS / "sluice", SYSTEM, "--set=tests.expectedStatus=200")
    code, said = run("helm", "test", "sluice", "-n", installed, "--timeout=2m", "--logs")
    assert code != 0
    assert "sluice-test-unknown-host failed" in said
    assert "expected 200 of the router itself" in said


def test_an_upgrade_keeps_the_token_and_restarts_nothing(installed: str) -> None:
    def token() -> str:
        path = "-o=jsonpath={.data.token}"
        return must("kubectl", "get", "secret", "sluice-agent", "-n", installed, path)

    before = token(), pods(installed, "sluice")
    upgrade(installed, "sluice", CHARTS / "sluice", SYSTEM, "--set-string=labels.changed=1")
    assert (token(), pods(installed, "sluice")) == before
    assert before[0]


def test_a_model_api_of_the_previous_chart_is_upgraded_without_a_restart(namespace: str) -> None:
    upgrade(namespace, "taxi", PREVIOUS, MODEL)
    before = pods(namespace, "taxi")
    assert before
    upgrade(namespace, "taxi", CHARTS / "model-api", MODEL)
    assert pods(namespace, "taxi") == before
    assert "Succeeded" in must("helm", "test", "taxi", "-n", namespace, "--timeout=2m")


def dry_run(objects: list[dict[str, Any]], namespace: str) -> None:
    """Let the API server judge objects as if they were made in a namespace."""
    asked = []
    for item in objects:
        if item["apiVersion"].partition("/")[0] in GATEWAY_API or item["kind"] == "Namespace":
            continue
        if "namespace" in item["metadata"]:
            item["metadata"]["namespace"] = namespace
        for port in item["spec"].get("ports", []) if item["kind"] == "Service" else []:
            port.pop("nodePort", None)  # another Service of the cluster may have it
        asked.append(item)
    command = ["kubectl", "apply", "--server-side", "--force-conflicts", "--dry-run=server"]
    must(*command, "-f", "-", text=yaml.safe_dump_all(asked))


@pytest.mark.parametrize(("chart", "values"), ci_files())
def test_the_api_server_takes_what_every_file_of_values_makes(
    empty: str, chart: str, values: Path
) -> None:
    dry_run(rendered(chart, "--kube-version=1.34.4", "-f", str(values)), empty)


def test_the_api_server_takes_the_base_without_helm(empty: str) -> None:
    text = must("kubectl", "kustomize", str(ROOT / "k8s/base/system"))
    dry_run(list(yaml.safe_load_all(text)), empty)


@pytest.fixture
def production(empty: str) -> Iterator[str]:
    """A namespace of production, with the guard in force."""
    folder = str(ROOT / "k8s" / "components" / "guard" / "guard.yaml")
    there = run("kubectl", "get", "validatingadmissionpolicy", "sluice-production")[0] == 0
    must("kubectl", "apply", "--server-side", "--force-conflicts", "-f", folder)
    must("kubectl", "label", "namespace", empty, "sluice.dev/environment=production")
    yield empty
    must("kubectl", "label", "namespace", empty, "sluice.dev/environment-")
    if not there:
        must("kubectl", "delete", "-f", folder)


def sent(release: dict[str, Any], namespace: str) -> tuple[int, str]:
    text = yaml.safe_dump(release)
    command = ["kubectl", "apply", "-n", namespace, "--server-side", "--dry-run=server", "-f", "-"]
    return run(*command, text=text)


def test_production_refuses_what_is_not_pinned_and_what_asks_nobody(production: str) -> None:
    def composed(strategy: str) -> dict[str, Any]:
        given = [f"DIGEST=sha256:{'2' * 64}", "IMAGE=sluice/model-api:0.1.0"]
        command = [str(ROOT / "k8s/compose"), "production", strategy, f"NAMESPACE={production}"]
        done = subprocess.run([*command, *given], capture_output=True, text=True, check=True)
        found: dict[str, Any] = dict(
            named(list(yaml.safe_load_all(done.stdout)), "Release", "taxi")
        )
        return found

    unpinned = composed("canary")
    del unpinned["spec"]["model"]
    for _ in range(30):  # a policy is in force some seconds after it was made
        code, said = sent(unpinned, production)
        if code != 0:
            break
    assert "spec.model.digest is missing" in said

    for strategy in STRATEGIES:
        code, said = sent(composed(strategy), production)
        assert code == 0, f"{strategy}: {said}"

    moving = composed("canary")
    moving["spec"]["template"]["spec"]["containers"][0]["image"] = "sluice/model-api:latest"
    assert "never moved, not latest" in sent(moving, production)[1]
    alone = composed("bluegreen")
    del alone["spec"]["strategy"]["blueGreen"]["gate"]
    assert "no gate that a person answers" in sent(alone, production)[1]
