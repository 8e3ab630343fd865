"""Gates that a service, a request and a program answer, and news out, with real processes."""

import base64
import hashlib
import hmac
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from sluice.testing.laptop import wait_until
from sluice.testing.story import Story

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

KEY = b"a key of thirty-two bytes or so."
SMOKE = (
    "import os, urllib.request as u;"
    "assert os.environ['SLUICE_RELEASE'] == 'taxi', os.environ;"
    "answer = u.urlopen(os.environ['SLUICE_CANDIDATE_URL'] + '/predict', timeout=10);"
    "print('candidate answered', answer.status)"
)


@dataclass
class Service:
    """Answers gates, and takes news."""

    url: str
    answers: list[str]
    """Words for the gate, the last again and again."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    news: list[dict[str, Any]] = field(default_factory=list)
    forged: int = 0


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv("GATE_KEY", "whsec_" + base64.b64encode(KEY).decode())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library gives the name
            body = self.rfile.read(int(self.headers["content-length"]))
            given = self.headers
            signed = f"{given['webhook-id']}.{given['webhook-timestamp']}.".encode() + body
            mac = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
            made.forged += given["webhook-signature"] != f"v1,{mac}"
            content = json.loads(body)
            if self.path == "/news":
                made.news.append(content)
                answer = b""
            else:
                made.asked.append(content)
                word = made.answers.pop(0) if len(made.answers) > 1 else made.answers[0]
                answer = json.dumps({"answer": word, "reason": "so it is"}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Service(url=f"http://127.0.0.1:{server.server_port}", answers=["approve"])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def gates(service: Service) -> tuple[dict[str, Any], ...]:
    webhook = {"url": f"{service.url}/gate", "secretEnv": "GATE_KEY", "every": "1s"}
    return (
        {"setWeight": 10},
        {"gate": {"name": "alive", "http": {"path": "/predict", "every": "1s"}}},
        {"gate": {"name": "smoke", "command": {"run": [sys.executable, "-c", SMOKE]}}},
        {"gate": {"name": "review", "webhook": webhook}},
        {"setWeight": 50},
    )


def told(service: Service) -> dict[str, Any]:
    return {"webhook": {"url": f"{service.url}/news", "secretEnv": "GATE_KEY"}}


def told_of(service: Service) -> set[tuple[str, str]]:
    """(revision, kind) of all news."""
    return {(item["data"]["revision"], item["data"]["kind"]) for item in service.news}


def test_gates_are_answered_over_a_kill_of_the_supervisor_and_everybody_is_told(
    story: Story, service: Service
) -> None:
    given, when, then = story.given, story.when, story.then
    service.answers = ["wait"]
    given.slo(0.9).policy(minBake="1s", warmUp="0s", notify=[told(service)])
    given.steps(*gates(service)).stable("v1").traffic(rps=60)
    when.candidate("v2")
    then.says("gate review is answered by webhook")
    when.killed("supervisor")
    service.answers = ["approve"]
    story.laptop.up()
    then.promoted("v2").lost(0)
    assert {item["id"] for item in service.asked} == {"taxi/2/review"}
    assert service.asked[-1]["weight"] == 10
    approved = [item for item in story.laptop.history("taxi") if item.kind == "Approved"]
    assert [item.by for item in approved] == ["http", "command", "webhook"]
    wait_until(
        lambda: (story.revisions["v2"], "Promoted") in told_of(service),
        within_s=30,
        what="the news of the promotion",
    )
    ids = {item["id"] for item in service.news}
    assert len(ids) == len({json.dumps(item) for item in service.news})
    assert service.forged == 0


def test_refusal_turns_the_candidate_back(story: Story, service: Service) -> None:
    given, when, then = story.given, story.when, story.then
    service.answers = ["refuse"]
    given.slo(0.9).policy(minBake="1s", warmUp="0s").steps(*gates(service))
    given.stable("v1").traffic(rps=60)
    when.candidate("v2")
    then.aborted("GateRefused").candidate_weight(0).lost(0)
    assert story.status().message == "gate review refused by webhook: so it is"


def test_failing_command_and_a_person_who_rejects(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    fails = [sys.executable, "-c", "import sys; print('fare is negative'); sys.exit(3)"]
    steps = (
        {"setWeight": 10},
        {"gate": {"name": "person"}},
        {"gate": {"name": "check", "command": {"run": fails}}},
    )
    given.slo(0.9).policy(minBake="1s", warmUp="0s").steps(*steps).stable("v1").traffic(rps=60)
    when.candidate("v2")
    then.stands_at("gate person")
    when.verb("approve")
    then.aborted("GateRefused")
    assert "ended with 3: fare is negative" in story.status().message
    when.verb("retry")
    then.stands_at("gate person")
    when.verb("reject", "person", "--reason", "not today")
    then.aborted("GateRefused").candidate_weight(0).lost(0)
    assert story.status().message.endswith("not today")


def test_freeze_window_holds_and_force_lifts_it(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    always = {"from": "00:00", "to": "24:00", "timeZone": "UTC"}
    given.slo(0.9).policy(minBake="1s", warmUp="0s", freeze=[always])
    given.steps({"setWeight": 10}, {"pause": {}}).stable("v1").traffic(rps=60)
    when.candidate("v2")
    then.held("FreezeWindow")
    ran = story.laptop.sluice("promote", "taxi")
    assert ran.code == 1
    assert "frozen until" in ran.err
    when.verb("promote", "--force")
    then.candidate_weight(1_000)
    when.verb("promote", "--full")
    then.promoted("v2").lost(0)


def test_checks_of_blue_green_ask_the_candidate_on_its_preview_route(story: Story) -> None:
    given, when, then = story.given, story.when, story.then
    checks = [
        {"http": {"path": "/predict", "every": "1s"}},
        {"command": {"run": [sys.executable, "-c", SMOKE]}},
    ]
    given.slo(0.9).policy(minBake="1s", warmUp="0s")
    given.spec(strategy={"blueGreen": {"checks": checks}}).stable("v1").traffic(rps=60)
    when.candidate("v2")
    then.promoted("v2").lost(0)
    kinds = [item.by for item in story.laptop.history("taxi") if item.kind == "Approved"]
    assert kinds == ["http", "command"]
