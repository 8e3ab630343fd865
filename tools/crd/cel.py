"""Rules in CEL, and the few phrases that they share.

Only what Kubernetes 1.29 knows is used. A literal list of indices stands for a loop with positions,
and ``[x].map(v, ...)[0]`` for a name: CEL has neither.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule on the value ``self`` and what is said of a value that breaks it."""

    rule: str
    """What must hold."""
    message: str = ""
    """What is said when it does not."""
    expression: str = ""
    """The same as CEL, where it names values."""
    path: str = ""
    """Field below ``self`` to point at, such as ``.steps``."""

    def as_object(self) -> dict[str, str]:
        """As the API server takes it."""
        parts = {
            "rule": self.rule,
            "message": self.message,
            "messageExpression": self.expression,
            "fieldPath": self.path,
        }
        return {key: text for key, text in parts.items() if text}


def sentences(rule: Mapping[str, str]) -> list[str]:
    """What a rule can say, a ``%s`` for each value; see ``Rule.as_object``."""
    if "message" in rule:
        return [rule["message"]]
    texts = re.findall(r"'((?:[^'\\]|\\.)*)'", rule["messageExpression"])
    words = [re.sub(r"\\(.)", r"\1", text) for text in texts if " " in text]
    return list(dict.fromkeys(words))


def text(words: str) -> str:
    """A CEL string."""
    return "'" + words.replace("\\", "\\\\").replace("'", "\\'") + "'"


def say(words: str, *values: str) -> str:
    """Words with a ``%s`` for each value, as CEL.

    By ``format``, whose cost is known before: a sum of texts with a number in it has no bound.
    """
    if not values:
        return text(words.replace("%%", "%"))
    return f"{text(words)}.format([{', '.join(values)}])"


def short(value: str) -> str:
    """A text as ``sluice.spec.scalars.shown`` shortens it."""
    return f"(size({value}) <= 60 ? {value} : {value}.substring(0, 57) + '...')"


def has(*keys: str, of: str = "self") -> str:
    """Whether every field on a way is there; CEL asks one by one."""
    at = of
    tests = []
    for key in keys:
        at += f".{key}"
        tests.append(f"has({at})")
    return " && ".join(tests)


def how_many(*keys: str) -> str:
    """Number of the fields that are there."""
    return f"[{', '.join(f'has(self.{key})' for key in keys)}].filter(x, x).size()"


def which(*keys: str) -> str:
    """Names of the fields that are there, as one text: ``a and b``.

    A sum of fixed texts: ``join`` would have no bound.
    """
    parts = []
    for number, key in enumerate(keys):
        before = " || ".join(f"has(self.{other})" for other in keys[:number])
        name = f"({before} ? ' and {key}' : '{key}')" if before else f"'{key}'"
        parts.append(f"(has(self.{key}) ? {name} : '')")
    return " + ".join(parts)


def indices(most: int) -> str:
    """0 to ``most`` - 1."""
    return f"[{','.join(map(str, range(most)))}]"


def per_stage(bad: Callable[[str], str], words: Callable[[str], str], *, path: str = "") -> Rule:
    """A rule over the one strategy or every stage of ``self.strategy``.

    Args:
        bad: Whether the stage of this name is wrong, as CEL.
        words: What is said of it, as CEL.
        path: Field below ``self`` to point at.
    """
    one, stages = "self.strategy", "self.strategy.stages"
    return Rule(
        rule=f"!({bad(one)}) && (!has({stages}) || !{stages}.exists(s, {bad('s')}))",
        expression=(
            f"({bad(one)}) ? {words(one)} : {stages}.filter(s, {bad('s')}).map(s, {words('s')})[0]"
        ),
        path=path or ".strategy",
    )
