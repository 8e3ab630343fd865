"""``kubectl sluice`` on a real cluster with a real controller, one release from end to end."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.docs.pages import ROOT

from sluice.cli.exits import ExitCode

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1_200)]

PLUGIN = Path(sys.executable).parent / "kubectl-sluice"
SYSTEM = "sluice-system"


def kubectl(*words: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        ["kubectl", *words], input=stdin, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Cli:
    """The plugin in one namespace."""

    def __init__(self, namespace: str, env: Mapping[str, str] | None = None) -> None:
        self.namespace = namespace
        self._env = {**os.environ, **(env or {})}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(PLUGIN), "-n", self.namespace, *words],
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: str, code: int = 0) -> str:
        with self.start(*words) as running:
            out, err = running.communicate(timeout=300)
        assert running.returncode == code, f"{words}: {running.returncode}\n{out}\n{err}"
        return out + err

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("status", "taxi", "-o", "json"))
        return found

    def until(self, within_s: float, **wanted: Any) -> dict[str, Any]:
        """Look once a second until the status has these values."""
        end = time.monotonic() + within_s
        while True:
            status = self.status()
            if all(status[name] == value for name, value in wanted.items()):
                return status
            assert time.monotonic() < end, f"waited {within_s:g} s for {wanted}: {status}"
            time.sleep(1.0)


@pytest.fixture
def cli() -> Iterator[Cli]:
    leads = subprocess.run(
        ["kubectl", "get", "lease", "sluice-controller", "-n", SYSTEM], capture_output=True
    )
    if leads.returncode:
        reason = f"no controller leads in {SYSTEM}: make cluster images install"
        if os.environ.get("SLUICE_CLUSTER") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    name = f"cli-{uuid.uuid4().hex[:6]}"
    kubectl("create", "namespace", name)
    yield Cli(name)
    kubectl("delete", "release", "--all", "-n", name, "--wait=false")
    kubectl("delete", "namespace", name, "--wait=false")


def files(folder: Path, namespace: str, version: int) -> list[str]:
    """The example for a cluster: what Sluice does not know goes in by kubectl."""
    words = ["k8s/compose", "dev", "canary", f"VERSION={version}", f"NAMESPACE={namespace}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    documents = [item for item in yaml.safe_load_all(done.stdout) if item]
    ours = [item for item in documents if item["apiVersion"].startswith("sluice.dev")]
    rest = [item for item in documents if item not in ours and item["kind"] != "Namespace"]
    kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(rest))
    path = folder / f"version-{version}.yaml"
    path.write_text(yaml.safe_dump_all(ours))
    return ["-f", str(path)]


def test_a_release_goes_through_every_verb(cli: Cli, tmp_path: Path) -> None:
    first = cli("deploy", *files(tmp_path, cli.namespace, 1), "--wait", "--timeout", "5m")
    assert "promoted" in first
    stable = cli.status()["stable"]
    second = files(tmp_path, cli.namespace, 2)
    assert "applied" in cli("deploy", *second)
    assert "unchanged" in cli("deploy", *second)
    cli.until(240, phase="Progressing", weight_bp=2_500)
    candidate = cli.status()["candidate"]
    cli("pause")
    cli.until(60, phase="Paused")
    cli("resume", "taxi")
    cli.until(60, phase="Progressing")
    cli("abort")
    assert cli.until(60, phase="Aborted", weight_bp=0)["candidate"] == candidate
    cli("retry")
    with cli.start("deploy", *second, "--wait", "--timeout", "8m") as waiting:
        cli.until(240, phase="Progressing", weight_bp=2_500)
        cli("abort")
        out, err = waiting.communicate(timeout=180)
    assert waiting.returncode == ExitCode.FAILED, out + err
    cli("retry")
    cli.until(240, weight_bp=2_500)
    cli("promote", "--full")
    cli.until(60, stable=candidate, candidate=None)
    cli("undo", "--to-revision", stable)
    # within keepWarm it is stable again at once, later a pass to it begins
    back = cli.status()
    assert stable in (back["stable"], back["candidate"])
    decisions = json.loads(cli("history", "-o", "json"))
    assert [item["kind"] for item in decisions if item["kind"] in ("Promoted", "Aborted")]
    assert "recomputed from the kept decisions" in cli("explain", "--replay", "--pass", "2")
    assert f"taxi-{stable}" in cli("logs", "--tail", "5")
    cli("approve", "taxi", "nobody", code=ExitCode.FAILED)
    cli("delete", "taxi", "--yes")
    cli("status", "taxi", code=ExitCode.NOTHING_THERE)


def test_who_may_only_look_is_told_what_is_missing(cli: Cli, tmp_path: Path) -> None:
    cli("deploy", *files(tmp_path, cli.namespace, 1), "--wait", "--timeout", "5m")
    kubectl("create", "serviceaccount", "viewer", "-n", cli.namespace)
    kubectl(
        "create", "rolebinding", "viewer", "-n", cli.namespace, "--clusterrole=view",
        f"--serviceaccount={cli.namespace}:viewer",
    )  # fmt: skip
    token = kubectl("create", "token", "viewer", "-n", cli.namespace).strip()
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    config["users"][0]["user"] = {"token": token}
    path = tmp_path / "viewer"
    path.write_text(json.dumps(config))
    path.chmod(0o600)
    viewer = Cli(cli.namespace, {"KUBECONFIG": str(path)})
    assert "Healthy" in viewer("status", "taxi")
    refused = viewer("pause", code=ExitCode.FAILED)
    assert "may not patch releases.sluice.dev in namespace" in refused
    assert len(refused.strip().splitlines()) == 1
