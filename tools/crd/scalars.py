"""Rules of scalars whose words a pattern or a bound would not give."""

from collections.abc import Mapping
from typing import Any

from sluice.spec.scalars import OWN_HEADERS, PROTOCOL_HEADERS
from tools.crd.cel import Rule, say, short

_REST = "self * 100.0 - double(int(self * 100.0))"
_ROUND = f"({_REST} < 0.000001 || {_REST} > 0.999999)"
_ADDRESS = (
    Rule(
        rule="!self.matches('^https?://[^/?#]*@')",
        message="holds a name or a password: keep secrets in an environment variable",
    ),
)


def of_scalar(schema: Mapping[str, Any]) -> tuple[Rule, ...]:
    """Rules of a scalar by its JSON Schema."""
    match schema.get("title"):
        case "duration":
            return _duration(schema)
        case "percent":
            return _percent(schema)
        case "address":
            return _ADDRESS
    if "x-header" in schema:
        return _header(client=schema["x-header"] == "client")
    return ()


def _duration(schema: Mapping[str, Any]) -> tuple[Rule, ...]:
    # The pattern speaks for itself; a rule on a text that is no duration would only add noise.
    broken = "!self.matches('^([0-9]+(h|m|s|ms))+$')"
    least, most = schema.get("x-least"), schema.get("x-most")
    rules = []
    if least:
        rules.append(
            Rule(
                rule=f"{broken} || duration(self) >= duration('{least}')",
                expression=say(f"must be at least {least}, not %s", "self"),
            )
        )
    if most:
        rules.append(
            Rule(
                rule=f"{broken} || duration(self) <= duration('{most}')",
                expression=say(f"must be at most {most}, not %s", "self"),
            )
        )
    else:
        rules.append(
            Rule(
                rule=f"{broken} || duration(self) <= duration('8760h')",
                expression=say('"%s" is longer than a year (8760h)', "self"),
            )
        )
    return tuple(rules)


def _percent(schema: Mapping[str, Any]) -> tuple[Rule, ...]:
    rules = [
        Rule(
            rule=f"self < 0.0 || self > 100.0 || {_ROUND}",
            expression=say("%s is finer than 0.01 percent, which is the smallest share", "self"),
        )
    ]
    if "exclusiveMaximum" in schema:
        words = (
            "only promotion reaches 100%: leave this step out, the candidate gets every request "
            "when it has passed"
        )
        rules.append(Rule(rule="self != 100.0", message=words))
    return tuple(rules)


def _header(*, client: bool) -> tuple[Rule, ...]:
    """Headers that are somebody else's."""
    name, own = "self.lowerAscii()", [*OWN_HEADERS]
    rules = [
        Rule(
            rule=f"!({name} in {[*PROTOCOL_HEADERS]})",
            expression=say(
                '"%s" belongs to the protocol: choose a header of your own', short("self")
            ),
        ),
        Rule(
            rule=f"!({name} in {own})",
            expression=say('"%s" is written by the router: choose another header', "self"),
        ),
    ]
    if client:
        words = '"%s": headers that begin with x-sluice- belong to the router'
        rules.append(
            Rule(
                rule=f"!{name}.startsWith('x-sluice-') || {name} in {own}",
                expression=say(words, short("self")),
            )
        )
    return tuple(rules)
