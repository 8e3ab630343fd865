"""One try of each kind against real servers and processes."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.unit.hooks.questions import question
from tests.unit.hooks.servers import receiver

from sluice.hooks.asker import Asker
from sluice.hooks.jobs import LocalJobs
from sluice.hooks.outward import LONGEST_ANSWER
from sluice.nouns import (
    AnswerKind,
    Ask,
    Evidence,
    GateAnswer,
    Job,
    Reach,
    Verdict,
    VerdictKind,
)

YES, NO, WAIT = AnswerKind.YES, AnswerKind.NO, AnswerKind.WAIT
HOLD, SILENT = AnswerKind.HOLD, AnswerKind.SILENT


@pytest_asyncio.fixture
async def asker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asker]:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    made = Asker(LocalJobs(tmp_path), now_s=lambda: 1_800_000_000.7)
    yield made
    await made.close()


# --- webhook ---


async def asked(asker: Asker, *answers: tuple[int, bytes], headers: str = "") -> GateAnswer:
    async with receiver(*answers, headers=headers) as server:
        ask = Ask(kind="webhook", url=f"{server.url}/gate?token=secret", timeout_ms=2_000)
        answer = await asker.ask(question(ask))
    assert "secret" not in answer.reason
    return answer


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        pytest.param(b'{"answer": "approve"}', YES, "", id="approve"),
        pytest.param(b'{"answer": "refuse", "reason": "too\\nslow"}', NO, "too slow", id="refuse"),
        pytest.param(b'{"answer": "wait", "reason": "busy", "eta": 3}', WAIT, "busy", id="wait"),
    ],
)
async def test_webhook_answers_in_json(
    asker: Asker, body: bytes, kind: AnswerKind, reason: str
) -> None:
    assert await asked(asker, (200, body)) == GateAnswer(kind=kind, reason=reason)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        pytest.param(200, b"", "without", id="empty"),
        pytest.param(200, b"<html>log in</html>", "without", id="login-page"),
        pytest.param(200, b'{"answer": "yes"}', "approve, refuse, wait", id="other-word"),
        pytest.param(200, b'{"answer": ["approve"]}', "without", id="not-a-word"),
        pytest.param(200, b'["approve"]', "without", id="no-object"),
        pytest.param(
            200, b'{"answer": "approve"' + b" " * LONGEST_ANSWER + b"}", "without", id="endless"
        ),
        pytest.param(404, b'{"answer": "approve"}', "answered 404", id="not-there"),
        pytest.param(403, b'{"answer": "refuse"}', "answered 403", id="not-allowed"),
        pytest.param(500, b"oh no", "answered 500: oh no", id="in-trouble"),
        pytest.param(0, b"", "", id="breaks-off"),
    ],
)
async def test_anything_else_of_a_webhook_is_silence(
    asker: Asker, status: int, body: bytes, said: str
) -> None:
    answer = await asked(asker, (status, body))
    assert answer.kind is SILENT
    assert said in answer.reason
    assert answer.reason


async def test_redirect_of_a_webhook_is_not_followed(asker: Asker) -> None:
    async with receiver((200, b'{"answer": "approve"}')) as other:
        headers = f"location: {other.url}/\r\n"
        answer = await asked(asker, (307, b""), headers=headers)
        assert (answer.kind, other.got) == (SILENT, [])
        assert "answered 307" in answer.reason


async def test_webhook_that_hangs_is_silent_after_its_time(asker: Asker) -> None:
    async with receiver((-1, b"")) as server:
        answer = await asker.ask(question(Ask(kind="webhook", url=server.url, timeout_ms=200)))
    assert answer.kind is SILENT
    assert "no answer within 0.2 s" in answer.reason


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "ftp://x/", "http://[", "nonsense"])
async def test_address_that_cannot_be_reached_is_silence(asker: Asker, url: str) -> None:
    answer = await asker.ask(question(Ask(kind="webhook", url=url, timeout_ms=2_000)))
    assert answer.kind is SILENT


async def test_webhook_gets_the_question_signed(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = b"0123456789abcdef0123456789abcdef"
    monkeypatch.setenv("GATE_KEY", "whsec_" + base64.b64encode(key).decode())
    evidence = Evidence(
        objective="availability",
        n_candidate=40,
        bad_candidate=1,
        n_stable=800,
        bad_stable=3,
        rate_candidate=0.025,
        low=0.0,
        high=0.2,
        upper=0.2,
        baseline=0.004,
    )
    verdict = Verdict(
        kind=VerdictKind.INCONCLUSIVE,
        reason="too few",
        taken_ms=1,
        evidence=(evidence,),
        requests=40,
        harmed=1,
    )
    async with receiver((200, b'{"answer": "approve"}')) as server:
        ask = Ask(kind="webhook", url=f"{server.url}/gate", secret_env="GATE_KEY")  # noqa: S106
        assert (await asker.ask(question(ask, verdict=verdict))).kind is YES
        (got,) = server.got
    assert json.loads(got.body) == {
        "id": "ml/taxi/3/smoke",
        "release": "taxi",
        "namespace": "ml",
        "pass": 3,
        "revision": "v2",
        "stable": "v1",
        "gate": "smoke",
        "stage": "canary",
        "step": "gate smoke",
        "weight": 5.25,
        "metrics": {
            "verdict": "inconclusive",
            "reason": "too few",
            "requests": 40,
            "harmed": 1,
            "objectives": [
                {
                    "name": "availability",
                    "candidate": {"requests": 40, "bad": 1},
                    "stable": {"requests": 800, "bad": 3},
                }
            ],
        },
    }
    assert (got.method, got.path) == ("POST", "/gate")
    assert got.headers["webhook-id"] == "ml/taxi/3/smoke"
    assert got.headers["webhook-timestamp"] == "1800000000"
    signed = b"ml/taxi/3/smoke.1800000000." + got.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert got.headers["webhook-signature"] == f"v1,{expected}"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        pytest.param(None, "GATE_KEY with the signing key is not set", id="missing"),
        pytest.param("", "not set or empty", id="empty"),
        pytest.param("whsec_???", "no base64", id="no-base64"),
        pytest.param("whsec_", "no key", id="only-the-prefix"),
    ],
)
async def test_without_its_key_nothing_is_sent(
    asker: Asker, monkeypatch: pytest.MonkeyPatch, value: str | None, said: str
) -> None:
    monkeypatch.delenv("GATE_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("GATE_KEY", value)
    async with receiver() as server:
        ask = Ask(kind="webhook", url=server.url, secret_env="GATE_KEY")  # noqa: S106
        answer = await asker.ask(question(ask))
        assert (answer.kind, server.got) == (SILENT, [])
    assert said in answer.reason


# --- http ---


async def test_path_goes_through_the_router_to_the_candidate(asker: Asker) -> None:
    async with receiver((200, b'{"ok": true}')) as router, receiver() as replica:
        reach = Reach(
            direct=(replica.url,),
            router=router.url,
            headers=(("host", "taxi.ml"), ("x-preview", "1")),
        )
        ask = Ask(kind="http", url="/health?full=1", headers=(("X-Tenant", "a"),))
        assert (await asker.ask(question(ask, reach=reach))).kind is YES
        (got,) = router.got
        assert replica.got == []
    assert (got.method, got.path) == ("GET", "/health?full=1")
    assert (got.headers["host"], got.headers["x-preview"]) == ("taxi.ml", "1")
    assert got.headers["x-tenant"] == "a"


async def test_path_goes_to_a_replica_where_no_route_leads_to_the_candidate(asker: Asker) -> None:
    async with receiver() as router, receiver() as replica:
        reach = Reach(direct=(replica.url,), router=router.url)
        answer = await asker.ask(question(Ask(kind="http", url="/health"), reach=reach))
        assert (answer.kind, len(replica.got), router.got) == (YES, 1, [])


async def test_whole_address_is_asked_as_it_is(asker: Asker) -> None:
    async with receiver((204, b"")) as server:
        ask = Ask(kind="http", url=f"{server.url}/go", method="POST", body="{}", status=(200, 204))
        assert (await asker.ask(question(ask))).kind is YES
        assert (server.got[0].method, server.got[0].body) == ("POST", b"{}")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        pytest.param(503, b"warming up", "answered 503, not 200: warming up", id="status"),
        pytest.param(302, b"", "answered 302", id="redirect"),
        pytest.param(200, b'{"fare": -1}', "does not answer '\"fare\": 12'", id="body"),
    ],
)
async def test_other_answer_of_a_check_is_a_no_that_may_turn(
    asker: Asker, status: int, body: bytes, said: str
) -> None:
    async with receiver((status, body)) as server:
        ask = Ask(kind="http", url="/predict", contains='"fare": 12')
        answer = await asker.ask(question(ask, reach=Reach(direct=(server.url,))))
    assert (answer.kind, answer.again) == (NO, True)
    assert said in answer.reason


async def test_candidate_that_is_away_is_silent(asker: Asker) -> None:
    ask = Ask(kind="http", url="/health", timeout_ms=1_000)
    away = await asker.ask(question(ask, reach=Reach(direct=("http://127.0.0.1:9",))))
    nobody = await asker.ask(question(ask))
    assert (away.kind, nobody.kind) == (SILENT, SILENT)
    assert "no ready replica" in nobody.reason


# --- commands and load tests ---


def program(source: str) -> tuple[str, ...]:
    return (sys.executable, "-c", source)


@pytest.mark.parametrize(
    ("kind", "code", "answer"),
    [
        pytest.param("command", 0, YES, id="command-0"),
        pytest.param("command", 1, NO, id="command-1"),
        pytest.param("command", 2, NO, id="command-2"),
        pytest.param("command", 127, SILENT, id="command-not-found"),
        pytest.param("load", 0, YES, id="load-passed"),
        pytest.param("load", 1, NO, id="load-failed"),
        pytest.param("load", 2, HOLD, id="load-inconclusive"),
        pytest.param("load", 3, HOLD, id="load-invalid"),
        pytest.param("load", 77, HOLD, id="load-other"),
        pytest.param("load", 126, SILENT, id="load-cannot-run"),
    ],
)
async def test_program_answers_by_its_exit_code(
    asker: Asker, kind: str, code: int, answer: AnswerKind
) -> None:
    source = f"import sys; print('first'); print('last words'); sys.exit({code})"
    ask = Ask(kind=kind, command=program(source))  # type: ignore[arg-type]  # one of the kinds
    given = await asker.ask(question(ask))
    assert given.kind is answer
    assert "last words" in given.reason
    assert str(code) in given.reason


async def test_program_finds_what_it_needs_in_its_environment(asker: Asker, tmp_path: Path) -> None:
    source = (
        "import json, os; names = [n for n in os.environ if n.startswith('SLUICE_')];"
        "open('seen', 'w').write(json.dumps({n: os.environ[n] for n in names}))"
    )
    reach = Reach(
        direct=("http://127.0.0.1:20001",),
        router="http://127.0.0.1:8080",
        headers=(("host", "taxi.ml"), ("x-preview", "1")),
    )
    ask = Ask(kind="command", command=program(source))
    assert (await asker.ask(question(ask, reach=reach))).kind is YES
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen == {
        "SLUICE_QUESTION": "ml/taxi/3/smoke",
        "SLUICE_RELEASE": "taxi",
        "SLUICE_NAMESPACE": "ml",
        "SLUICE_PASS": "3",
        "SLUICE_REVISION": "v2",
        "SLUICE_STABLE": "v1",
        "SLUICE_GATE": "smoke",
        "SLUICE_STAGE": "canary",
        "SLUICE_STEP": "gate smoke",
        "SLUICE_WEIGHT": "5.25",
        "SLUICE_CANDIDATE_URL": "http://127.0.0.1:20001",
        "SLUICE_ROUTER_URL": "http://127.0.0.1:8080",
        "SLUICE_PREVIEW_HOST": "taxi.ml",
        "SLUICE_PREVIEW_HEADER": "x-preview: 1",
    }


@pytest.mark.parametrize(
    ("command", "said"),
    [
        pytest.param((), "there is no command", id="empty"),
        pytest.param(("./no-such-program",), "cannot be started", id="not-there"),
        pytest.param(("nul\0byte",), "cannot be started", id="impossible-name"),
    ],
)
async def test_program_that_cannot_be_run_says_nothing(
    asker: Asker, command: tuple[str, ...], said: str
) -> None:
    answer = await asker.ask(question(Ask(kind="command", command=command)))
    assert answer.kind is SILENT
    assert said in answer.reason


async def gone(pid: int) -> None:
    """Return when a process is no more (a zombie is no more)."""
    async with asyncio.timeout(10):
        while True:
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                return
            if state == "Z":
                return
            await asyncio.sleep(0.01)


HANGS = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("pids.new", "w").write(f"{os.getpid()} {child.pid}")
os.rename("pids.new", "pids")
print("still at it", flush=True)
time.sleep(600)
"""


async def pids(folder: Path) -> list[int]:
    async with asyncio.timeout(10):
        while True:
            try:
                return [int(word) for word in (folder / "pids").read_text().split()]
            except FileNotFoundError:
                await asyncio.sleep(0.01)


async def test_program_over_time_is_ended_with_all_it_began(tmp_path: Path) -> None:
    job = Job(id="x", command=program(HANGS), env={}, timeout_ms=1_500)
    end = await LocalJobs(tmp_path).run(job)
    assert end.code is None
    assert "did not end within 1.5 s: still at it" in end.said
    for pid in await pids(tmp_path):
        await gone(pid)


async def test_program_that_nobody_waits_for_any_more_is_ended(tmp_path: Path) -> None:
    job = Job(id="x", command=program(HANGS), env={}, timeout_ms=600_000)
    running = asyncio.create_task(LocalJobs(tmp_path).run(job))
    left = await pids(tmp_path)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    for pid in left:
        await gone(pid)


async def test_what_a_program_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    source = (
        "import subprocess, sys;"
        "c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
        "open('pids.new', 'w').write(str(c.pid));"
        "import os; os.rename('pids.new', 'pids')"
    )
    began = time.monotonic()
    end = await LocalJobs(tmp_path).run(
        Job(id="x", command=program(source), env={}, timeout_ms=60_000)
    )
    assert end.code == 0
    assert time.monotonic() - began < 20
    for pid in await pids(tmp_path):
        await gone(pid)


async def test_program_of_a_killed_controller_ends_too(tmp_path: Path) -> None:
    hangs = HANGS.replace("signal.signal(signal.SIGTERM, signal.SIG_IGN)", "")
    (tmp_path / "hangs.py").write_text(hangs)
    source = (
        "import asyncio, sys; from pathlib import Path;"
        "from sluice.hooks.jobs import LocalJobs; from sluice.nouns import Job;"
        "job = Job(id='x', command=(sys.executable, 'hangs.py'), env={}, timeout_ms=600_000);"
        "asyncio.run(LocalJobs(Path('.')).run(job))"
    )
    controller = await asyncio.create_subprocess_exec(*program(source), cwd=tmp_path)
    program_pid, child_pid = await pids(tmp_path)
    controller.send_signal(signal.SIGKILL)
    await controller.wait()
    await gone(program_pid)
    os.kill(child_pid, signal.SIGKILL)


async def test_only_the_end_of_a_long_output_is_kept(tmp_path: Path) -> None:
    source = "import sys; sys.stdout.write('x' * 5_000_000); print(); print('the reason')"
    end = await LocalJobs(tmp_path).run(
        Job(id="x", command=program(source), env={}, timeout_ms=60_000)
    )
    assert end.code == 0
    assert end.said.endswith("the reason")
    assert len(end.said) <= 500
