from dataclasses import replace

import pytest
from tests.unit.reports.samples import (
    ABORTED,
    BEFORE,
    GOOD,
    HEALTHY,
    HELD,
    RUNNING,
    STEPPING,
    TURNED_BACK,
    V1,
    V2,
)

from sluice.cli.exits import ExitCode, end_of
from sluice.nouns import Phase, VerdictKind
from sluice.reports.model import ReleaseStatus


def untrusted(kind: VerdictKind) -> ReleaseStatus:
    return replace(HELD, verdict=replace(GOOD, kind=kind))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        pytest.param(RUNNING, None, id="on-its-way"),
        pytest.param(STEPPING, None, id="waits-for-a-person"),
        pytest.param(replace(RUNNING, candidate=None), None, id="not-begun"),
        pytest.param(HEALTHY, ExitCode.DONE, id="promoted"),
        pytest.param(replace(HEALTHY, acknowledged=11), None, id="not-yet-on-every-router"),
        pytest.param(TURNED_BACK, ExitCode.FAILED, id="aborted"),
        pytest.param(HELD, ExitCode.UNDECIDED, id="held-at-the-deadline"),
        pytest.param(
            replace(HELD, reason="HorizonReached"), ExitCode.UNDECIDED, id="held-at-the-horizon"
        ),
        pytest.param(untrusted(VerdictKind.INVALID), ExitCode.NOT_MEASURED, id="invalid"),
        pytest.param(untrusted(VerdictKind.ERROR), ExitCode.NOT_MEASURED, id="could-not-measure"),
        pytest.param(replace(HELD, verdict=None), ExitCode.NOT_MEASURED, id="never-judged"),
        pytest.param(
            replace(RUNNING, phase=Phase.DEGRADED, reason="ProgressDeadlineExceeded", stable=None),
            ExitCode.FAILED,
            id="first-revision-never-ready",
        ),
    ],
)
def test_end_of_a_pass_is_its_exit_code(status: ReleaseStatus, code: ExitCode | None) -> None:
    assert end_of(status, V2, before=BEFORE) == code


def test_abort_of_an_earlier_pass_is_not_the_end_of_the_new_one() -> None:
    before = replace(TURNED_BACK, candidate=None, phase=Phase.HEALTHY)
    assert end_of(TURNED_BACK, V2, before=before) is None
    again = replace(TURNED_BACK, pass_number=4)
    assert end_of(again, V2, before=before) is ExitCode.FAILED


def test_deploying_again_what_was_turned_back_ends_at_once() -> None:
    assert end_of(TURNED_BACK, V2, before=TURNED_BACK) is ExitCode.FAILED


def test_candidate_that_another_deploy_replaced_has_failed() -> None:
    other = replace(RUNNING, candidate="c0ffee", pass_number=4, decisions=(ABORTED,))
    assert end_of(other, V2, before=BEFORE) is ExitCode.FAILED
    assert end_of(replace(other, decisions=()), V2, before=BEFORE) is None


def test_what_is_stable_already_is_done() -> None:
    assert end_of(RUNNING, V1, before=RUNNING) is ExitCode.DONE
