"""Real locust processes against servers whose true answer times are known."""

import itertools
import json
import random
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from loadtests.__main__ import main
from loadtests.run import Asked, read_back, run, start
from tests.loadtests.conftest import Serve
from tests.loadtests.server import PERIOD_S, SERVICE_S, stalled_s

from sluice.analysis.latency import quantile_ms
from sluice.analysis.loadrun import LoadRun
from sluice.reports import document

PLAIN = Path(__file__).parent / "plain.py"
# Machines that test are busy with tests: what is asked here is never about 10 ms.
PATIENT = ["--late-ms", "2000", "-f", str(PLAIN)]


def load(url: str, folder: Path, *words: str) -> tuple[int, LoadRun | None]:
    code = main(["--url", url, "--out", str(folder), *PATIENT, *words])
    path = folder / "run.json"
    return code, document.parse(LoadRun, path.read_bytes()) if path.exists() else None


@pytest.mark.slow
def test_a_healthy_server_passes_with_its_report(serve: Serve, tmp_path: Path) -> None:
    code, counted = load(
        serve(), tmp_path, "--rate", "60", "--length", "6s", "--threshold", "p(95)<2000"
    )
    assert code == 0
    assert counted is not None
    assert counted.whole().total == sum(counted.codes.values()) > 200
    assert counted.versions == ("v1", "v2")
    assert "passed" in (tmp_path / "report.html").read_text()
    assert 'failures="0" errors="0"' in (tmp_path / "junit.xml").read_text()


@pytest.mark.slow
def test_a_server_with_errors_fails(serve: Serve, tmp_path: Path) -> None:
    words = ["--rate", "60", "--length", "6s", "--threshold", "rate<0.05"]
    code, counted = load(serve("--share", "0.4"), tmp_path, *words)
    assert code == 1
    assert counted is not None
    assert counted.codes["500"] == counted.whole().errors > 50


@pytest.mark.e2e
def test_too_few_requests_are_inconclusive(
    serve: Serve, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--rate", "20", "--length", "4s", "--threshold", "rate<0.001"]
    code, _ = load(serve(), tmp_path, *words)
    assert code == 2
    assert "more requests decide" in capfd.readouterr().out


@pytest.mark.e2e
def test_a_rate_that_cannot_be_reached_is_invalid(
    serve: Serve, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--rate", "50000", "--length", "3s", "--threshold", "p(95)<2000"]
    code, _ = load(serve(), tmp_path, *words)
    assert code == 3
    assert "cannot be trusted" in capfd.readouterr().out


@pytest.mark.slow
def test_a_wrong_url_is_told_and_not_judged(
    serve: Serve, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--rate", "40", "--length", "4s", "--threshold", "rate<0.01"]
    code, _ = load(serve("--path", "/elsewhere"), tmp_path, *words)
    assert code == 3
    assert "the requests are wrong (path, body, host)" in capfd.readouterr().out


@pytest.mark.e2e
def test_a_dead_server_stops_the_run_early(serve: Serve, tmp_path: Path) -> None:
    words = ["--rate", "60", "--length", "60s", "--threshold", "rate<0.01", "--stop-early"]
    _, counted = load(serve("--share", "1"), tmp_path, *words)
    assert counted is not None
    assert counted.duration_s < 45


@pytest.mark.e2e
def test_processes_share_the_rate_and_lose_no_count(serve: Serve, tmp_path: Path) -> None:
    asked = Asked(
        url=serve(),
        run_file=tmp_path / "run.json",
        rate=80.0,
        length="6s",
        processes=2,
        locustfile=PLAIN,
    )
    counted = run(asked)
    assert counted.processes == 2
    assert sum(counted.lateness.values()) == counted.whole().total
    assert abs(counted.whole().total - 480) < 4 * 480**0.5


@pytest.mark.e2e
def test_tags_choose_tasks(serve: Serve, tmp_path: Path) -> None:
    url = serve("--path", "/other")
    asked = Asked(
        url=url,
        run_file=tmp_path / "run.json",
        rate=30.0,
        length="3s",
        tags=["other"],
        locustfile=PLAIN,
    )
    counted = run(asked)
    assert set(counted.codes) == {"200"}


@pytest.mark.e2e
def test_percentiles_of_a_stalled_server_are_the_true_ones(serve: Serve, tmp_path: Path) -> None:
    draw, at, due = random.Random(8), 0.0, [0.0]
    while at < 3 * PERIOD_S:
        at += draw.expovariate(80)
        due.append(at)
    (tmp_path / "log.jsonl").write_text("\n".join(json.dumps({"at": at}) for at in due))
    (tmp_path / "replay.yaml").write_text("kind: replay\nlog: log.jsonl\n")
    asked = Asked(
        url=serve("--stall"),
        run_file=tmp_path / "run.json",
        profile=str(tmp_path / "replay.yaml"),
        locustfile=PLAIN,
    )
    counted = run(asked)
    assert counted.whole().total == len(due)
    truth = sorted(1000 * (SERVICE_S + stalled_s(at)) for at in due)
    for q in (0.95, 0.99):
        true = truth[int(q * len(truth))]
        assert quantile_ms(counted.whole().buckets, q) == pytest.approx(true, rel=0.05)


@pytest.fixture
def asked_of() -> Iterator[tuple[str, threading.Event]]:
    """A server's URL, and what is set when it was asked ten times."""
    enough, seen = threading.Event(), itertools.count(1)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library gives the name
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()
            if next(seen) == 10:
                enough.set()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", enough
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
@pytest.mark.parametrize("ignored", [False, True], ids=["foreground", "background"])
def test_a_run_that_is_told_to_end_keeps_its_counts(
    asked_of: tuple[str, threading.Event], tmp_path: Path, ignored: bool
) -> None:
    url, enough = asked_of
    asked = Asked(url=url, run_file=tmp_path / "run.json", rate=40.0, length="5m", locustfile=PLAIN)
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else before)
    try:
        locust = start(asked)
    finally:
        signal.signal(signal.SIGINT, before)
    assert enough.wait(60)
    locust.send_signal(signal.SIGINT)
    output, _ = locust.communicate(timeout=60)
    counted = read_back(asked.run_file, output)
    assert counted.whole().total >= 10
    assert counted.whole().lost == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["--url", "http://127.0.0.1:9"], 69, "no server answers", id="no-server"),
        pytest.param(["--url", "ftp://x"], 69, "is not a URL", id="not-a-url"),
        pytest.param(["--profile", "spke"], 64, 'did you mean "spike"', id="unknown-profile"),
        pytest.param(["--rate", "-1"], 64, "above 0", id="negative-rate"),
        pytest.param(["--length", "soon"], 64, "is not a duration", id="length"),
        pytest.param(["--threshold", "avg<3"], 64, "no count of requests", id="threshold"),
        pytest.param(["--slo", "gone.yaml"], 64, "gone.yaml", id="no-slo-file"),
    ],
)
def test_bad_input_is_one_clear_line(
    words: list[str], code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ["--out", str(tmp_path), "--threshold", "rate<0.01", *words]
    try:
        ended = main(base)
    except SystemExit as end:
        ended = int(end.code or 0)
    caught = capsys.readouterr().err
    assert ended == code
    assert said in caught
    assert "Traceback" not in caught


def test_as_a_gate_it_asks_the_candidate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLUICE_CANDIDATE_URL", "http://127.0.0.1:9")
    assert main(["--threshold", "rate<0.01", "--out", str(tmp_path)]) == 69
    assert "no server answers at http://127.0.0.1:9" in capsys.readouterr().err


def test_a_file_without_an_slo_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        "apiVersion: sluice.dev/v1alpha1\nkind: ReleasePolicy\nmetadata: {name: a}\nspec: {}\n"
    )
    assert main(["--slo", str(path), "--out", str(tmp_path)]) == 64
    assert "holds no document of kind SLO" in capsys.readouterr().err


def test_nothing_to_judge_by_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 64
    assert "give --slo FILE" in capsys.readouterr().err
