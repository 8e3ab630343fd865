"""A gate that a service answers: a signed POST, and a JSON answer that says yes, no or wait."""

import json
import time
from collections.abc import Callable
from typing import Any

from sluice.hooks.outward import Outward, Reply, Unreachable, place_of
from sluice.hooks.signing import NoKey, key_of, sign
from sluice.nouns import AnswerKind, GateAnswer, Question, Verdict

WORDS = {"approve": AnswerKind.YES, "refuse": AnswerKind.NO, "wait": AnswerKind.WAIT}
LONGEST_REASON = 500
OK = range(200, 300)


async def ask_webhook(
    outward: Outward, question: Question, *, now_s: Callable[[], float] = time.time
) -> GateAnswer:
    """One POST.

    Only a 2xx answer with ``{"answer": "approve" | "refuse" | "wait"}`` is one. Anything else is
    silence, because a wrong address, a proxy's login page or a service in trouble must neither
    promote nor turn back.
    """
    ask = question.ask
    headers = {"content-type": "application/json"}
    body = json.dumps(payload(question), sort_keys=True, allow_nan=False).encode()
    place = place_of(ask.url)
    try:
        if ask.secret_env:
            key = key_of(ask.secret_env)
            headers |= sign(key, message_id=message_id(question), at_s=int(now_s()), body=body)
        reply = await outward.send(
            "POST", ask.url, headers=headers, body=body, timeout_ms=ask.timeout_ms
        )
    except NoKey as error:
        return GateAnswer(kind=AnswerKind.SILENT, reason=str(error))
    except Unreachable as error:
        return GateAnswer(kind=AnswerKind.SILENT, reason=f"{place}: {error}")
    return _read(reply, place)


def payload(question: Question) -> dict[str, Any]:
    """What is sent; the same for every try at one weight and verdict."""
    return {
        "id": question.id,
        "release": question.release.rpartition("/")[2],
        "namespace": question.release.rpartition("/")[0],
        "pass": question.pass_number,
        "revision": question.revision,
        "stable": question.stable,
        "gate": question.gate,
        "stage": question.strategy,
        "step": question.step,
        "weight": question.weight_bp / 100,
        "metrics": _metrics(question.verdict),
    }


def message_id(question: Question) -> str:
    """The id without dots, which the signature puts between its parts."""
    return question.id.replace(".", "-")


def _metrics(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    return {
        "verdict": verdict.kind,
        "reason": verdict.reason,
        "requests": verdict.requests,
        "harmed": verdict.harmed,
        "objectives": [
            {
                "name": item.objective,
                "candidate": {"requests": item.n_candidate, "bad": item.bad_candidate},
                "stable": {"requests": item.n_stable, "bad": item.bad_stable},
            }
            for item in verdict.evidence
        ],
    }


def _read(reply: Reply, place: str) -> GateAnswer:
    if reply.status not in OK:
        said = reply.line()
        reason = f"{place} answered {reply.status}{said and f': {said}'}"
        return GateAnswer(kind=AnswerKind.SILENT, reason=reason)
    try:
        content = json.loads(reply.body) if reply.whole else None
    except ValueError:
        content = None
    word = content.get("answer") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(word, str) or word not in WORDS:
        known = ", ".join(WORDS)
        reason = f'{place} answered {reply.status} without {{"answer": one of {known}}}'
        return GateAnswer(kind=AnswerKind.SILENT, reason=reason)
    given = content.get("reason")
    reason = " ".join(given.split())[:LONGEST_REASON] if isinstance(given, str) else ""
    return GateAnswer(kind=WORDS[word], reason=reason)
