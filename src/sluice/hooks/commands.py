"""Gates that a program answers by its exit code: a check of your own, or a load test."""

from collections.abc import Mapping

from sluice.nouns import AnswerKind, GateAnswer, Job, JobEnd, Question
from sluice.ports import CheckJob

LOAD_INCONCLUSIVE, LOAD_INVALID = 2, 3
CANNOT_START = (126, 127)
"""Exit codes of shells and launchers for a program that is not there or cannot be run."""


async def ask_command(jobs: CheckJob, question: Question) -> GateAnswer:
    """Run the command: 0 is yes, any other end is no. One that cannot be run says nothing."""
    end = await jobs.run(job_of(question))
    if end.code is None or end.code in CANNOT_START:
        return GateAnswer(kind=AnswerKind.SILENT, reason=_said(question, end))
    kind = AnswerKind.YES if end.code == 0 else AnswerKind.NO
    return GateAnswer(kind=kind, reason=_said(question, end))


async def ask_load(jobs: CheckJob, question: Question) -> GateAnswer:
    """Run a load test: 0 kept the SLO, 1 broke it; 2 (undecided) and 3 (invalid) need a person.

    An undecided test is not run again: with enough tries any candidate passes one.
    """
    end = await jobs.run(job_of(question))
    match end.code:
        case 0:
            kind = AnswerKind.YES
        case 1:
            kind = AnswerKind.NO
        case None:
            kind = AnswerKind.SILENT
        case code if code in CANNOT_START:
            kind = AnswerKind.SILENT
        case _:
            kind = AnswerKind.HOLD
    meaning = {LOAD_INCONCLUSIVE: "undecided; ", LOAD_INVALID: "the test is invalid; "}
    return GateAnswer(kind=kind, reason=meaning.get(end.code or 0, "") + _said(question, end))


def job_of(question: Question) -> Job:
    """The program with what it needs to know."""
    ask = question.ask
    return Job(
        id=question.id,
        command=ask.command,
        env=environment(question),
        timeout_ms=ask.timeout_ms,
    )


def environment(question: Question) -> Mapping[str, str]:
    """Variables that a program finds; every one is always there, be it empty."""
    reach = question.reach
    headers = dict(reach.headers)
    host = headers.pop("host", "")
    return {
        "SLUICE_QUESTION": question.id,
        "SLUICE_RELEASE": question.release.rpartition("/")[2],
        "SLUICE_NAMESPACE": question.release.rpartition("/")[0],
        "SLUICE_PASS": str(question.pass_number),
        "SLUICE_REVISION": question.revision,
        "SLUICE_STABLE": question.stable,
        "SLUICE_GATE": question.gate,
        "SLUICE_STAGE": question.strategy,
        "SLUICE_STEP": question.step,
        "SLUICE_WEIGHT": f"{question.weight_bp / 100:g}",
        "SLUICE_CANDIDATE_URL": reach.direct[0] if reach.direct else "",
        "SLUICE_ROUTER_URL": reach.router,
        "SLUICE_PREVIEW_HOST": host,
        "SLUICE_PREVIEW_HEADER": next((f"{k}: {v}" for k, v in headers.items()), ""),
    }


def _said(question: Question, end: JobEnd) -> str:
    name = question.ask.command[0] if question.ask.command else "no command"
    if end.code is None:
        return f"{name}: {end.said}"
    return f"{name} ended with {end.code}" + (f": {end.said}" if end.said else "")
