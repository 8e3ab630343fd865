import json
from dataclasses import replace

import pytest
from tests.unit.cli.conftest import Place, Run
from tests.unit.cli.fake import FakeSupervisor
from tests.unit.cli.keepers import Keeper
from tests.unit.reports.samples import STEPPING

from sluice.cli import verbs
from sluice.cli.exits import ExitCode
from sluice.reports.model import GateStatus


@pytest.fixture(autouse=True)
def _ada(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "who", lambda: "ada")


@pytest.mark.parametrize(
    ("words", "verb", "body"),
    [
        pytest.param(["promote"], "promote", {"full": False, "force": False}, id="promote"),
        pytest.param(
            ["promote", "--full"], "promote", {"full": True, "force": False}, id="promote-full"
        ),
        pytest.param(
            ["promote", "--force"], "promote", {"full": False, "force": True}, id="promote-force"
        ),
        pytest.param(["pause"], "pause", {}, id="pause"),
        pytest.param(["resume"], "resume", {}, id="resume"),
        pytest.param(["abort"], "abort", {}, id="abort"),
        pytest.param(["retry"], "retry", {}, id="retry"),
        pytest.param(["undo"], "undo", {}, id="undo"),
        pytest.param(
            ["undo", "--to-revision", "aa01"], "undo", {"to_revision": "aa01"}, id="undo-to"
        ),
        pytest.param(["approve", "taxi", "ok"], "approve", {"gate": "ok"}, id="approve"),
        pytest.param(
            ["reject", "taxi", "ok", "--reason", "fares look\nwrong"],
            "reject",
            {"gate": "ok", "reason": "fares look wrong"},
            id="reject",
        ),
    ],
)
def test_verb_is_asked_of_the_only_release_with_who_asks(
    sluice: Run, keeper: Keeper, words: list[str], verb: str, body: dict[str, object]
) -> None:
    ran = sluice(*words)
    assert ran.code == 0
    assert keeper.told == [(verb, {**body, "by": "ada"})]
    assert ran.out.startswith(f"taxi: {verb} done\nnext: ")


def test_answer_of_a_verb_as_document_has_message_and_status(sluice: Run, keeper: Keeper) -> None:
    answer = json.loads(sluice("pause", "-o", "json").out)
    assert answer["message"] == "pause done"
    assert answer["status"]["name"] == "taxi"


def test_refused_verb_is_one_line_and_exit_code_1(
    sluice: Run, keeper: Keeper, place: Place
) -> None:
    detail = "cannot retry: v2 was not turned back; deploy a new version"
    keeper.refuse(detail)
    ran = sluice("retry", "taxi")
    assert ran.code == ExitCode.FAILED
    assert (ran.out, ran.err) == ("", f"{place.program}: {detail}\n")


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_answer_goes_to_the_one_gate_that_is_open(sluice: Run, keeper: Keeper, verb: str) -> None:
    keeper.keep(STEPPING)
    assert sluice(verb).code == 0
    reason = {"reason": ""} if verb == "reject" else {}
    assert keeper.told == [(verb, {"gate": "approve", "by": "ada", **reason})]


@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_answer_without_an_open_gate_asks_for_its_name(
    sluice: Run, keeper: Keeper, verb: str
) -> None:
    ran = sluice(verb)
    assert ran.code == ExitCode.USAGE
    assert "does not wait at a gate" in ran.err
    assert keeper.told == []


def test_answer_with_several_open_gates_asks_which(sluice: Run, keeper: Keeper) -> None:
    gates = (GateStatus(name="smoke"), GateStatus(name="approve"))
    keeper.keep(replace(STEPPING, gates=gates))
    ran = sluice("approve", "taxi")
    assert ran.code == ExitCode.USAGE
    assert "name one of smoke, approve" in ran.err


def test_delete_does_nothing_until_somebody_says_yes(
    sluice: Run, supervisor: FakeSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    assert sluice("delete", "taxi").code == ExitCode.USAGE
    assert supervisor.asked == []
    assert sluice("delete", "taxi", "--yes").code == 0
    assert supervisor.last[1] == "/v1/releases/taxi/delete"


def test_delete_of_an_unknown_release_is_refused_before_asking(sluice: Run, keeper: Keeper) -> None:
    assert sluice("delete", "fare", "--yes").code == ExitCode.NOTHING_THERE


def test_name_with_a_slash_cannot_reach_another_path(sluice: Run, keeper: Keeper) -> None:
    ran = sluice("abort", "taxi/../fare")
    assert ran.code == ExitCode.NOTHING_THERE
    assert keeper.told == []


def test_server_error_is_one_line_without_a_traceback(
    sluice: Run, supervisor: FakeSupervisor
) -> None:
    supervisor.refuse = (503, {"title": "busy", "detail": "the router did not acknowledge in 5 s"})
    ran = sluice("abort")
    assert ran.code == ExitCode.NOT_MEASURED
    assert ran.err == (
        "sluice: the supervisor could not do it (503): the router did not acknowledge in 5 s\n"
    )
