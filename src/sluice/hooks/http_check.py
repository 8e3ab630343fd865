"""A gate that one request answers: the candidate, or any address, must answer as expected."""

from urllib.parse import urljoin

from sluice.hooks.outward import Outward, Unreachable, place_of
from sluice.nouns import AnswerKind, GateAnswer, Question, Reach


async def ask_http(outward: Outward, question: Question) -> GateAnswer:
    """One request. A path goes to the candidate through the router where a preview or forced arm
    leads there, else to one of its replicas; a whole address goes where it says.

    Another status or body is a ``no`` that further tries may turn; no answer at all is silence.
    """
    ask = question.ask
    outside = "://" in ask.url
    reach = question.reach
    base = "" if outside else _base(reach)
    if not outside and not base:
        return GateAnswer(kind=AnswerKind.SILENT, reason="the candidate has no ready replica")
    headers = {} if outside or base != reach.router else dict(reach.headers)
    url = ask.url if outside else urljoin(base, ask.url)
    place = place_of(url) if outside else ask.url
    try:
        reply = await outward.send(
            ask.method,
            url,
            headers={**headers, **{name.lower(): value for name, value in ask.headers}},
            body=ask.body.encode(),
            timeout_ms=ask.timeout_ms,
            direct=not outside,
        )
    except Unreachable as error:
        return GateAnswer(kind=AnswerKind.SILENT, reason=f"{place}: {error}")
    if reply.status not in ask.status:
        wanted = " or ".join(map(str, ask.status))
        said = reply.line()
        reason = f"{place} answered {reply.status}, not {wanted}{said and f': {said}'}"
        return GateAnswer(kind=AnswerKind.NO, reason=reason, again=True)
    if ask.contains and ask.contains.encode() not in reply.body:
        reason = f"{place} does not answer {ask.contains!r}: {reply.line() or 'nothing'}"
        return GateAnswer(kind=AnswerKind.NO, reason=reason, again=True)
    return GateAnswer(kind=AnswerKind.YES, reason=f"{place} answered {reply.status}")


def _base(reach: Reach) -> str:
    """The router when something there leads to the candidate, else a replica."""
    if reach.router and reach.headers:
        return reach.router
    return reach.direct[0] if reach.direct else ""
