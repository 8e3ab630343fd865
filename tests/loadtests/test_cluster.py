"""Load by several pods: what is applied, what comes back, what is said when it does not work."""

import json
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from loadtests.bodies import read_bodies, rows_of
from loadtests.profiles import FOLDER
from loadtests.run import ROOT, _free_port
from tests.loadtests.conftest import Serve
from tests.unit.analysis.test_load import run_of

from loadtests import cluster, incluster
from sluice.errors import TransientError
from sluice.reports import document

PLAIN = Path(__file__).parent / "plain.py"
SLO = ROOT / "examples" / "taxi" / "slo.yaml"


def run(**changes: Any) -> cluster.Run:
    given = {
        "target": "http://taxi",
        "workers": 3,
        "image": "registry.test/load:1.2",
        "profile": FOLDER / "constant.yaml",
        "rate": 40.0,
        "length": "30s",
        "slo": (str(SLO),),
        "rows": rows_of("", most=20),
    }
    return cluster.Run(**{**given, **changes})


@pytest.fixture
def rendered(tmp_path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What kubectl would apply, by kind and name."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl on this machine: kustomize cannot be run")
    folder = tmp_path / "k"
    folder.mkdir()
    cluster.write(run(), "ml", folder)
    done = subprocess.run(
        ["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=True
    )
    documents = list(yaml.safe_load_all(done.stdout))
    assert all(item["metadata"]["namespace"] == "ml" for item in documents)
    return {(item["kind"], item["metadata"]["name"]): item for item in documents}


def test_what_is_applied_holds_what_was_asked_for(rendered: Any) -> None:
    files = rendered["ConfigMap", "loadtest"]["data"]
    assert set(files) == {"profile.yaml", "slo.yaml", "rows.jsonl"}
    assert yaml.safe_load(files["profile.yaml"])["name"] == "constant"
    settings = rendered["ConfigMap", "loadtest-settings"]["data"]
    assert (settings["TARGET"], settings["WORKERS"], settings["RATE"]) == ("http://taxi", "3", "40")
    workers = rendered["Job", "loadtest-workers"]["spec"]
    assert (workers["completions"], workers["parallelism"]) == (3, 3)
    assert ("Service", "loadtest-master") in rendered
    assert ("NetworkPolicy", "loadtest") in rendered


@pytest.mark.parametrize("name", ["loadtest-master", "loadtest-workers"])
def test_pods_are_as_restricted_as_pod_security_asks(rendered: Any, name: str) -> None:
    job = rendered["Job", name]["spec"]
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    security = container["securityContext"]
    assert job["backoffLimit"] == 0
    assert container["image"] == "registry.test/load:1.2"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert "cpu" not in container["resources"]["limits"]


def test_the_service_finds_the_master_and_nobody_else(rendered: Any) -> None:
    chosen = rendered["Service", "loadtest-master"]["spec"]["selector"]
    labels = {
        name: rendered["Job", name]["spec"]["template"]["metadata"]["labels"]
        for name in ("loadtest-master", "loadtest-workers")
    }
    assert [name for name, item in labels.items() if chosen.items() <= item.items()] == [
        "loadtest-master"
    ]


def test_a_locustfile_of_ones_own_goes_along(tmp_path: Path) -> None:
    folder = tmp_path / "k"
    folder.mkdir()
    cluster.write(run(locustfile=PLAIN, rows=""), "ml", folder)
    assert (folder / "locustfile.py").read_text() == PLAIN.read_text()
    words = incluster.words_of("master", {"TARGET": "http://x/", "WORKERS": "1"}, folder)
    assert words[words.index("-f") + 1] == str(folder / "locustfile.py")


# --- what comes back ---


def test_counts_come_back_from_the_midst_of_a_log() -> None:
    counted = run_of([(50, 1)] * 60)
    log = f"locust says\n{incluster.packed(document.dump_json(counted))}and more\n"
    assert incluster.unpacked(log) == counted
    assert max(map(len, log.splitlines())) <= 1_000


@pytest.mark.parametrize(
    ("log", "said"),
    [
        pytest.param("Killed\n", "printed no counts:\nKilled", id="none"),
        pytest.param(f"{incluster.BEGIN}\nabcd\n", "printed no counts", id="cut-short"),
        pytest.param(f"{incluster.BEGIN}\nabcd\n{incluster.END}\n", "are broken", id="broken"),
    ],
)
def test_a_log_without_counts_is_told_with_its_end(log: str, said: str) -> None:
    with pytest.raises(TransientError, match=said):
        incluster.unpacked(log)


@pytest.mark.e2e
def test_master_and_workers_merge_their_counts(serve: Serve, tmp_path: Path) -> None:
    files, file = tmp_path / "files", tmp_path / "run.json"
    files.mkdir()
    (files / "profile.yaml").write_text("{kind: constant, rate: 60, duration: 6s}")
    (files / "locustfile.py").write_text(PLAIN.read_text())
    env = {
        "TARGET": serve(),
        "WORKERS": "2",
        "MASTER": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "LATE_MS": "5000",
    }
    with ExitStack() as stack:
        roles = ("master", "worker", "worker")
        started = [
            stack.enter_context(
                subprocess.Popen(incluster.words_of(role, env, files, file), cwd=ROOT)
            )
            for role in roles
        ]
        for process in started:
            stack.callback(process.kill)
        assert [process.wait(150) for process in started] == [0, 0, 0]
    counted = incluster.unpacked(incluster.packed(file.read_bytes()))
    assert counted.processes == 2
    assert abs(counted.whole().total - 360) < 4 * 360**0.5
    assert counted.whole().lost == 0


# --- bodies without the model API ---


def test_rows_make_the_same_bodies_as_the_trips_that_they_were_made_of(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(rows_of("", most=50))
    whole, again = read_bodies("", most=50), read_bodies("", rows=str(file))
    assert (again.plain, again.v2_json, again.v2_binary) == (
        whole.plain,
        whole.v2_json,
        whole.v2_binary,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "an empty file is no trip", id="empty"),
        pytest.param('{"a": 1}\n', "line 1 is no trip: each line has pickup_datetime", id="other"),
        pytest.param("x\n", "cannot be read as JSON lines", id="no-json"),
    ],
)
def test_rows_that_are_none_are_told(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_bodies("", rows=str(file))


# --- what is said when it does not work ---


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "loadtest-workers-x"}, "status": status}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param({"phase": "Running"}, "", id="runs"),
        pytest.param(
            {"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]},
            "",
            id="starts",
        ),
        pytest.param(
            {
                "containerStatuses": [
                    {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}
                ]
            },
            "pod loadtest-workers-x cannot start: ErrImagePull: not found",
            id="image",
        ),
        pytest.param(
            {"containerStatuses": [{"state": {"terminated": {"exitCode": 64}}}]},
            "worker loadtest-workers-x ended with 64: see its log",
            id="worker-failed",
        ),
        pytest.param(
            {"conditions": [{"reason": "Unschedulable", "message": "Insufficient cpu"}]},
            "pod loadtest-workers-x fits on no node: Insufficient cpu",
            id="no-room",
        ),
    ],
)
def test_why_a_pod_does_not_run_is_one_line(status: dict[str, Any], said: str) -> None:
    assert cluster.stuck([pod(**status)]) == said


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubectl that answers from files by its verb, and notes how it was called."""
    script = tmp_path / "bin" / "kubectl"
    script.parent.mkdir()
    script.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\n"
        f"home = pathlib.Path({str(tmp_path)!r})\n"
        "words = sys.argv[1:]\n"
        "with (home / 'calls').open('a') as calls: calls.write(' '.join(words) + '\\n')\n"
        "verb = next(w for w in words if w in ('get', 'apply', 'delete', 'logs'))\n"
        "key = verb + ('-pods' if 'pods' in words else '-name' if 'name' in words else '')\n"
        "if (home / (key + '.err')).exists():\n"
        "    sys.exit((home / (key + '.err')).read_text())\n"
        "file = home / key\n"
        "sys.stdout.write(file.read_text() if file.exists() else '')\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    (tmp_path / "get-pods").write_text('{"items": []}')
    return tmp_path


def ran(home: Path, *words: str) -> int:
    base = ["--slo", str(SLO), "--out", str(home / "out"), "-n", "ml", "--rate", "40"]
    return cluster.main([*base, *words])


@pytest.mark.parametrize(
    ("bad", "code"), [pytest.param(0, 0, id="passed"), pytest.param(9, 1, id="failed")]
)
def test_the_same_verdict_and_exit_code_as_on_a_laptop(kubectl: Path, bad: int, code: int) -> None:
    (kubectl / "get").write_text(json.dumps({"status": {"succeeded": 1}}))
    counted = run_of([(100, bad)] * 40)
    (kubectl / "logs").write_text(incluster.packed(document.dump_json(counted)))
    assert ran(kubectl) == code
    assert (kubectl / "out" / "report.html").exists()
    calls = (kubectl / "calls").read_text().splitlines()
    assert [line.split()[2] for line in calls] == ["get", "apply", "get", "logs", "delete"]
    assert all(line.startswith("--namespace ml ") for line in calls)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param({"apply.err": "connection refused"}, "kubectl apply: connection", id="away"),
        pytest.param(
            {"get": '{"status": {"failed": 1}}', "logs": "no room"},
            "the master failed:\nno room",
            id="failed",
        ),
        pytest.param({"get-name": "job/loadtest-master"}, "runs in namespace ml already", id="two"),
    ],
)
def test_what_stands_in_the_way_is_said(
    kubectl: Path, files: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in files.items():
        (kubectl / name).write_text(text)
    assert ran(kubectl) == 3
    assert said in capsys.readouterr().err
    deleted = any(" delete " in line for line in (kubectl / "calls").read_text().splitlines())
    assert deleted is ("get-name" not in files)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["--workers", "0"], 64, "at least 1", id="workers"),
        pytest.param(["--image", "latest"], 64, "needs a tag", id="image"),
        pytest.param(["--profile", "spke"], 64, 'did you mean "spike"', id="profile"),
        pytest.param(["--length", "soon"], 64, "is not a duration", id="length"),
    ],
)
def test_bad_input_is_one_clear_line(
    kubectl: Path, words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        ended = ran(kubectl, *words)
    except SystemExit as end:
        ended = int(end.code or 0)
    assert ended == code
    assert said in capsys.readouterr().err
    assert not (kubectl / "calls").exists()


def test_without_kubectl_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ran(tmp_path) == 69
    assert "there is no kubectl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        pytest.param([], {}, "say master or worker", id="no-role"),
        pytest.param(["master"], {"TARGET": "http://x"}, "WORKERS is not set", id="settings"),
    ],
)
def test_a_pod_without_its_settings_says_which(
    arguments: list[str], env: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert incluster.main(arguments, env) == 64
    assert said in capsys.readouterr().err
