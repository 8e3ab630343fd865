"""Rules of a ReleasePolicy."""

from tools.crd.cel import Rule, how_many, say

_NAME = "(has({o}.sloRef) ? {o}.sloRef : has({o}.prometheus) ? {o}.prometheus.name : '')"
_SAME = f"{_NAME.format(o='p')} == {_NAME.format(o='o')}"
_TWICE = f"self.objectives.filter(o, self.objectives.filter(p, {_SAME}).size() > 1)"
_LEASE = "(has(self.lease) ? self.lease : '30s')"

POLICY = (
    Rule(
        rule=f"!has(self.objectives) || {_TWICE}.size() == 0",
        expression=say(
            '"%s" is judged already: name it once', f"{_TWICE}.map(o, {_NAME.format(o='o')})[0]"
        ),
        path=".objectives",
    ),
    Rule(
        rule=(
            "!has(self.objectives) || has(self.prometheus) || "
            "!self.objectives.exists(o, has(o.prometheus))"
        ),
        message="no server to ask: add prometheus: {url: ...} to the policy",
        path=".objectives",
    ),
    Rule(
        rule=f"duration({_LEASE}) > duration(self.poll)",
        expression=say(
            "%s runs out between two polls: it must be longer than poll, %s, better ten times as "
            "long",
            _LEASE,
            "self.poll",
        ),
        path=".lease",
    ),
)
OBJECTIVE = (
    Rule(
        rule=f"{how_many('sloRef', 'prometheus')} >= 1",
        message="is missing (Name of an SLO document): name one, or give prometheus",
    ),
    Rule(
        rule=f"{how_many('sloRef', 'prometheus')} <= 1",
        message="an objective is a sloRef or a prometheus query: make it two items",
    ),
)
PROMETHEUS = tuple(
    Rule(
        rule=f"self.{key} == '' || self.{key}.contains('$revision')",
        message='counts every revision alike: select one, such as {revision="$revision"}',
        path=f".{key}",
    )
    for key in ("bad", "total")
)
FREEZE = (
    Rule(
        rule="self.from != '24:00'",
        message='write "00:00" for the begin of a day',
        path=".from",
    ),
    Rule(
        rule="self.from == '24:00' || self.from != self.to",
        message='is the begin: for a whole day write from: "00:00", to: "24:00"',
        path=".to",
    ),
    Rule(
        rule="self.from == '24:00' || self.from == self.to || self.to != '00:00'",
        message='write "24:00" for the end of a day',
        path=".to",
    ),
)
