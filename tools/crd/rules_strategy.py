"""Rules of a strategy: inside one stage, and between stages."""

from sluice.spec.along import FROM_NOTHING, LAST
from tools.crd.cel import Rule, has, indices, say, short

_STEPS, _STAGES = 100, 20
"""Bounds of the lists in the models; a literal list of indices is as long."""


# --- canary ------------------------------------------------------------------------------------

_ALL = indices(_STEPS)
_WEIGHS = "has(self.steps[{i}].setWeight)"
_BEFORE = f"j < i && {_WEIGHS.format(i='j')}"
_HIGHEST = f"{_ALL}.filter(j, {_BEFORE}).map(j, self.steps[j].setWeight).max()"
_WHERE = f"{_ALL}.filter(j, {_BEFORE} && self.steps[j].setWeight == h).max()"
_FALLS = (
    f"{_ALL}.filter(i, i < size(self.steps) && {_WEIGHS.format(i='i')} && {_ALL}.exists(j, "
    f"{_BEFORE} && self.steps[j].setWeight > self.steps[i].setWeight))"
)
_LATE = (
    f"{_ALL}.filter(i, i < size(self.steps) && has(self.steps[i].headerOnly) && {_ALL}.exists(j, "
    f"{_BEFORE} && self.steps[j].setWeight > 0.0))"
)
_AGAIN = (
    f"{_ALL}.filter(i, i < size(self.steps) && has(self.steps[i].gate) && {_ALL}.exists(j, j < i "
    "&& has(self.steps[j].gate) && self.steps[j].gate.name == self.steps[i].gate.name))"
)
_SAME_GATE = say(
    'gate "%s" is already steps[%s]: give each gate its own name',
    short("self.steps[i].gate.name"),
    f"{_ALL}.filter(j, j < i && has(self.steps[j].gate) && self.steps[j].gate.name == "
    "self.steps[i].gate.name).min()",
)


def _of_highest(first: str, words: str) -> str:
    """Words about the first wrong step ``i`` and the highest weight ``h`` before it."""
    return f"[{first}[0]].map(i, [{_HIGHEST}].map(h, {words})[0])[0]"


CANARY = (
    Rule(
        rule=(
            "!has(self.steps) || "
            "self.steps.filter(s, has(s.setWeight)).map(s, s.setWeight).isSorted()"
        ),
        expression=_of_highest(
            _FALLS,
            say(
                "%s falls below the %s of steps[%s]: weights only grow; `sluice abort` is the way "
                "back",
                "self.steps[i].setWeight",
                "h",
                _WHERE,
            ),
        ),
        path=".steps",
    ),
    Rule(
        rule=f"!has(self.steps) || {_LATE}.size() == 0",
        expression=_of_highest(
            _LATE, say("comes after the %s%% of steps[%s]: staff goes first", "h", _WHERE)
        ),
        path=".steps",
    ),
    Rule(
        rule=f"!has(self.steps) || {_AGAIN}.size() == 0",
        expression=f"[{_AGAIN}[0]].map(i, {_SAME_GATE})[0]",
        path=".steps",
    ),
)

# --- the other strategies ----------------------------------------------------------------------

_NOTHING = "(self.{key} == 0 || self.{key} == '0%')"
ROLLING = (
    Rule(
        rule=f"!({_NOTHING.format(key='maxSurge')} && {_NOTHING.format(key='maxUnavailable')})",
        message="is 0, and so is maxUnavailable: no replica could ever be replaced",
        path=".maxSurge",
    ),
)


def _twice(key: str, name: str, words: str) -> Rule:
    same = f"b.{name} == a.{name}"
    again = f"self.{key}.filter(a, self.{key}.filter(b, {same}).size() > 1)"
    return Rule(
        rule=f"!has(self.{key}) || self.{key}.all(a, self.{key}.exists_one(b, {same}))",
        expression=say(f'"%s" {words}', f"{again}[0].{name}"),
        path=f".{key}",
    )


SHADOW = (_twice("compare", "field", "has a rule already: keep one"),)
COMPARE = tuple(
    Rule(
        rule=f"!has(self.{key}) || !(self.kind in ['label', 'ignore'])",
        expression=say('belongs to kind: number, not to "%s"', "self.kind"),
        path=f".{key}",
    )
    for key in ("atol", "rtol")
)
VARIANT = (
    Rule(
        rule="self.name != 'stable'",
        message="is the control's name, which takes the rest of the users",
        path=".name",
    ),
    Rule(
        rule="self.name != 'candidate' || !has(self.template)",
        message="candidate runs spec.template: remove it here",
    ),
    Rule(
        rule="self.name in ['candidate', 'stable'] || has(self.template)",
        expression=say('is missing: what "%s" runs', short("self.name")),
    ),
)
GOAL = (
    *(
        Rule(
            rule=f"self.kind != 'binary' || !has(self.{key})",
            message="belongs to kind: continuous",
        )
        for key in ("cap", "deviation")
    ),
    Rule(
        rule=(
            "self.kind != 'binary' || !has(self.baseline) || "
            "(self.baseline >= 0.0 && self.baseline < 1.0)"
        ),
        expression=say("must be a share from 0 to below 1, not %s", "self.baseline"),
        path=".baseline",
    ),
)
HORIZON = (
    Rule(
        rule="(has(self.users) && self.users > 0) || has(self.duration)",
        message="give users or duration: a test without an end is never over",
    ),
)
_TOTAL = "self.variants.map(v, v.weight).sum()"
AB_TEST = (
    Rule(
        rule="!has(self.variants) || size(self.variants) == 0 || self.variants[0].name == "
        "'candidate'",
        message='must be "candidate": its users keep their place when shares are added',
        path=".variants",
    ),
    _twice("variants", "name", "is there already: give each its own name"),
    _twice("goals", "name", "is there already: give each its own name"),
    Rule(
        rule=f"!has(self.variants) || {_TOTAL} < 99.995",
        expression=say(
            "take %s%% of the users: leave some to stable, the control",
            f"double(int({_TOTAL} * 100.0 + 0.5)) / 100.0",
        ),
        path=".variants",
    ),
)

# --- between stages ----------------------------------------------------------------------------

_EACH = indices(_STAGES)
_STEPS_OF = "self.stages[{i}].canary.steps"
_CANARY = has("canary", "steps", of="self.stages[{i}]")
_HAS_USERS = (
    f"(has(self.stages[{{i}}].abTest) || ({_CANARY} && "
    f"{_STEPS_OF}.exists(t, has(t.setWeight) && t.setWeight > 0.0)))"
)


def _last(key: str) -> Rule:
    return Rule(
        rule=(
            f"!has(self.stages) || self.stages.filter(s, has(s.{key})).size() <= "
            f"(has(self.stages[size(self.stages) - 1].{key}) ? 1 : 0)"
        ),
        message=f"{key} ends with every user on the candidate: make it the last stage",
        path=".stages",
    )


def _from_nothing(key: str) -> Rule:
    late = (
        f"{_EACH}.filter(i, i < size(self.stages) && has(self.stages[i].{key}) && "
        f"{_EACH}.exists(j, j < i && {_HAS_USERS.format(i='j')}))"
    )
    at = _STEPS_OF.format(i="j")
    last = f"{_ALL}.filter(k, k < size({at}) && has({at}[k].setWeight)).max()"
    steps = say(
        "%s%% of steps[%s]", f"{at}.filter(t, has(t.setWeight)).map(t, t.setWeight).max()", last
    )
    variants = "self.stages[j].abTest.variants"
    total = f"(has({variants}) ? {variants}.map(v, v.weight).sum() : 50.0)"
    words = say(
        "begins without users, after the %s: nobody is moved back, so put it first",
        f"(has(self.stages[j].abTest) ? {say('%s%% of abTest', total)} : {steps})",
    )
    before = f"{_EACH}.filter(j, j < i && {_HAS_USERS.format(i='j')}).max()"
    return Rule(
        rule=f"!has(self.stages) || {late}.size() == 0",
        expression=f"[{late}[0]].map(i, [{before}].map(j, {words})[0])[0]",
        path=".stages",
    )


STRATEGY = (
    *(_last(key) for key in LAST),
    *(_from_nothing(key) for key in FROM_NOTHING),
    Rule(
        rule=(
            "!has(self.stages) || size(self.stages) < 2 || !self.stages.exists(s, "
            "has(s.rolling) && (s.rolling.maxSurge == 0 || s.rolling.maxSurge == '0%'))"
        ),
        message="after a stage that needs replicas of the candidate: maxSurge cannot be 0",
        path=".stages",
    ),
)
