"""Label selectors: ``a=b``, ``a!=b``, ``a in (b, c)``, ``a``, ``!a``, joined by commas."""

import re
from collections.abc import Callable, Mapping

_TERM = re.compile(
    r"\s*(?:(?P<key>[\w./-]+)\s+(?P<op>in|notin)\s+\((?P<values>[^)]*)\)"
    r"|(?P<left>[\w./-]+)\s*(?P<eq>==|!=|=)\s*(?P<right>[\w.-]*)"
    r"|(?P<no>!)?(?P<has>[\w./-]+))\s*(?:,|$)"
)


def selector(text: str) -> Callable[[Mapping[str, str]], bool]:
    """Whether labels are chosen by a selector.

    Raises:
        ValueError: it is none.
    """
    terms: list[Callable[[Mapping[str, str]], bool]] = []
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise ValueError(f"no label selector: {text!r}")
        at = found.end()
        terms.append(_term(found))
    return lambda labels: all(term(labels) for term in terms)


def _term(found: re.Match[str]) -> Callable[[Mapping[str, str]], bool]:
    if found["key"]:
        key, wanted = found["key"], {value.strip() for value in found["values"].split(",")}
        if found["op"] == "in":
            return lambda labels: labels.get(key) in wanted
        return lambda labels: labels.get(key) not in wanted
    if found["left"]:
        left, right = found["left"], found["right"]
        if found["eq"] == "!=":
            return lambda labels: labels.get(left) != right
        return lambda labels: labels.get(left) == right
    has, no = found["has"], bool(found["no"])
    return lambda labels: (has in labels) is not no
