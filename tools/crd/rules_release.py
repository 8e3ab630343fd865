"""Rules of a Release outside of its strategy, and between the strategy and the rest."""

from tools.crd.cel import Rule, per_stage, say, short

# --- traffic -----------------------------------------------------------------------------------

_USER = "self.traffic.sticky.header"
_NAMES_USER = '"%s" names the user in sticky: choose another header'
_HAS_USER = "has(self.traffic) && has(self.traffic.sticky) && has(self.traffic.sticky.header)"
TRAFFIC = (
    Rule(
        rule=(
            "!has(self.forcedHeader) || !has(self.sticky) || !has(self.sticky.header) || "
            "self.forcedHeader.lowerAscii() != self.sticky.header.lowerAscii()"
        ),
        expression=say(_NAMES_USER, short("self.forcedHeader")),
        path=".forcedHeader",
    ),
)

# --- autoscaling -------------------------------------------------------------------------------

AUTOSCALING = (
    Rule(
        rule="!(has(self.targetCPUUtilizationPercentage) && has(self.metrics))",
        message="scales by targetCPUUtilizationPercentage or metrics, one of the two",
    ),
    Rule(
        rule="!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",
        expression=say("%s is above maxReplicas, %s", "self.minReplicas", "self.maxReplicas"),
        path=".minReplicas",
    ),
)
_SCALES = "has(self.autoscaling)"
_SCALING = (
    Rule(
        rule=(
            f"!{_SCALES} || !has(self.autoscaling.minReplicas) || "
            "self.autoscaling.minReplicas >= self.replicas"
        ),
        expression=say(
            "%s is below replicas, %s, for which a pass waits: lower replicas",
            "self.autoscaling.minReplicas",
            "self.replicas",
        ),
        path=".autoscaling.minReplicas",
    ),
    Rule(
        rule=f"!{_SCALES} || self.autoscaling.maxReplicas >= self.replicas",
        expression=say("%s is below replicas, %s", "self.autoscaling.maxReplicas", "self.replicas"),
        path=".autoscaling.maxReplicas",
    ),
    per_stage(
        lambda s: f"({_SCALES} && has({s}.rolling))",
        lambda _: say(
            "counts replicas, and an autoscaler changes them: remove autoscaling, or choose "
            "another strategy"
        ),
    ),
    per_stage(
        lambda s: f"({_SCALES} && has({s}.canary) && {s}.canary.capacity == 'proportional')",
        lambda _: say(
            '"proportional" sizes the candidate, and so does an autoscaler: write full, or remove '
            "autoscaling"
        ),
    ),
)

# --- spec --------------------------------------------------------------------------------------

_PORT = "(has(self.traffic) && has(self.traffic.port) ? self.traffic.port : dyn('http'))"


def _named(template: str) -> str:
    return (
        f"{template}.spec.containers.exists(c, has(c.ports) && c.ports.exists(p, has(p.name) && "
        f"dyn(p.name) == {_PORT}))"
    )


def _no_port() -> str:
    # The names that there are would need a join, whose cost has no bound.
    return say(
        'no container of the template has a port named "%s": name the port that takes requests',
        _PORT,
    )


def _variant_without_port(s: str) -> str:
    return (
        f"(type({_PORT}) == string && has({s}.abTest) && has({s}.abTest.variants) && "
        f"{s}.abTest.variants.exists(v, {_lacks('v')}))"
    )


def _lacks(v: str) -> str:
    return f"{v}.name != 'candidate' && has({v}.template) && !{_named(f'{v}.template')}"


_TIMEOUT = "(has(self.traffic) && has(self.traffic.timeout) ? self.traffic.timeout : '30s')"
_SHIELDED = ("canary", "rolling", "abTest")


def _late_shield(key: str) -> Rule:
    return per_stage(
        lambda s: (
            f"(has({s}.{key}) && has({s}.{key}.shield) && "
            f"duration({s}.{key}.shield.perTryTimeout) >= duration({_TIMEOUT}))"
        ),
        lambda s: say(
            "%s leaves stable no time: it must be below traffic.timeout, %s",
            f"{s}.{key}.shield.perTryTimeout",
            _TIMEOUT,
        ),
    )


def _names_user(there: str, header: str) -> Rule:
    """A header of a stage that chooses the candidate is not the one that names the user."""
    return per_stage(
        lambda s: (
            f"({_HAS_USER} && {there.format(s=s)} && "
            f"{header.format(s=s)}.lowerAscii() == {_USER}.lowerAscii())"
        ),
        lambda s: say(_NAMES_USER, header.format(s=s)),
    )


def _staff_names_user() -> Rule:
    steps = "{s}.canary.steps"
    clash = f"t.headerOnly.header.lowerAscii() == {_USER}.lowerAscii()"
    return per_stage(
        lambda s: (
            f"({_HAS_USER} && has({s}.canary) && has({steps.format(s=s)}) && "
            f"{steps.format(s=s)}.exists(t, has(t.headerOnly) && {clash}))"
        ),
        lambda _: say(_NAMES_USER, _USER),
    )


def _room() -> tuple[Rule, ...]:
    """What amounts come to with so many replicas; only a last stage can roll."""
    stages = "self.strategy.stages"
    last = f"{stages}[size({stages}) - 1]"
    rules: list[Rule] = []
    for there, rolling in (
        ("has(self.strategy.rolling)", "self.strategy.rolling"),
        (f"has({stages}) && has({last}.rolling)", f"{last}.rolling"),
    ):
        surge, fewer = f"{rolling}.maxSurge", f"{rolling}.maxUnavailable"
        down, up = _replicas(fewer, up=False), _replicas(surge, up=True)
        quoted = f"(type({fewer}) == int ? '%s'.format([{fewer}]) : '\"%s\"'.format([{fewer}]))"
        rules += [
            Rule(
                rule=f"!({there}) || {down} < self.replicas",
                expression=say(
                    "%s of %s leaves nobody to answer: keep at least one replica",
                    quoted,
                    "self.replicas",
                ),
                path=".strategy",
            ),
            Rule(
                rule=(
                    f"!({there}) || {down} >= self.replicas || {down} + {up} > 0 || "
                    f"{fewer} == 0 || {fewer} == '0%'"
                ),
                expression=say(
                    "%s of %s is less than one, and maxSurge is 0: no replica could ever be "
                    "replaced",
                    quoted,
                    "self.replicas",
                ),
                path=".strategy",
            ),
        ]
    return tuple(rules)


def _replicas(amount: str, *, up: bool) -> str:
    more = " + 99" if up else ""
    share = f"(int(string({amount}).replace('%', '')) * self.replicas{more}) / 100"
    return f"(type({amount}) == int ? int({amount}) : {share})"


SPEC = (
    Rule(
        rule=f"type({_PORT}) != string || {_named('self.template')}",
        expression=_no_port(),
        path=".traffic",
    ),
    per_stage(_variant_without_port, lambda _: _no_port()),
    *(_late_shield(key) for key in _SHIELDED),
    per_stage(
        lambda s: f"(has({s}.abTest) && !(has(self.traffic) && has(self.traffic.sticky)))",
        lambda _: say(
            "keeps users on their variant: add traffic: {sticky: {cookie: sluice_uid}}, or the "
            "header that names them"
        ),
    ),
    _names_user(
        "has({s}.blueGreen) && has({s}.blueGreen.preview) && has({s}.blueGreen.preview.header)",
        "{s}.blueGreen.preview.header",
    ),
    _names_user("has({s}.abTest) && has({s}.abTest.forcedHeader)", "{s}.abTest.forcedHeader"),
    _staff_names_user(),
    *_room(),
    *_SCALING,
)
