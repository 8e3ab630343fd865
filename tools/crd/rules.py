"""Rules between fields in CEL, by the model whose ``relations`` say the same words.

``tests/unit/spec/test_crd_parity.py`` holds both together: every place in ``sluice.spec`` that
refuses something between fields has a case there, and is here or in ``tools.crd.exceptions``.
"""

from collections.abc import Mapping

from sluice.spec.asks import ASKS
from sluice.spec.canary import STEPS
from sluice.spec.strategy import STRATEGIES
from sluice.spec.template import HANDLERS, PROBES
from tools.crd import rules_policy, rules_release, rules_strategy
from tools.crd.cel import Rule, how_many, say, which
from tools.crd.scalars import of_scalar

__all__ = ["RULES", "Rule", "of_scalar"]


def _one_strategy(*choices: str) -> tuple[Rule, ...]:
    return (
        Rule(
            rule=f"{how_many(*choices)} <= 1",
            expression=say("one strategy only, not %s: put several into stages", which(*choices)),
        ),
        Rule(
            rule=f"{how_many(*choices)} >= 1",
            message=f"choose a strategy: {' or '.join(choices)}",
        ),
    )


def _one_of(keys: tuple[str, ...], words: str) -> tuple[Rule, ...]:
    return (Rule(rule=f"{how_many(*keys)} == 1", message=words),)


_STEP = (
    Rule(
        rule=f"{how_many(*STEPS)} <= 1",
        expression=say("a step does one thing, not %s: make it a list of steps", which(*STEPS)),
    ),
    Rule(rule=f"{how_many(*STEPS)} >= 1", message=f"a step needs one of {', '.join(STEPS)}"),
)
_GATE = (
    Rule(
        rule=f"{how_many(*ASKS)} <= 1",
        expression=say("a gate asks once, not by %s: make it several gates", which(*ASKS)),
    ),
)
_NEEDS = f"a check needs one of {', '.join(ASKS)}"
_CHECK = (
    Rule(
        rule=f"{how_many(*ASKS)} <= 1",
        expression=say(f"{_NEEDS}, not %s: make it several checks", which(*ASKS)),
    ),
    Rule(rule=f"{how_many(*ASKS)} >= 1", message=_NEEDS),
)
_PROBE = (
    Rule(
        rule=f"{how_many(*PROBES)} <= 1",
        expression=say(f"a probe has one of {HANDLERS}, not %s", which(*PROBES)),
    ),
    Rule(rule=f"{how_many(*PROBES)} >= 1", message=f"a probe needs one of {HANDLERS}"),
)

RULES: Mapping[str, tuple[Rule, ...]] = {
    "StageSpec": _one_strategy(*STRATEGIES),
    "Strategy": _one_strategy(*STRATEGIES, "stages") + rules_strategy.STRATEGY,
    "Step": _STEP,
    "GateRef": _GATE,
    "CheckSpec": _CHECK,
    "HttpAsk": _one_of(
        ("path", "url"), "give path (asked of the candidate) or url, one of the two"
    ),
    "Probe": _PROBE,
    "Canary": rules_strategy.CANARY,
    "Rolling": rules_strategy.ROLLING,
    "Shadow": rules_strategy.SHADOW,
    "CompareField": rules_strategy.COMPARE,
    "Variant": rules_strategy.VARIANT,
    "GoalSpec": rules_strategy.GOAL,
    "Horizon": rules_strategy.HORIZON,
    "AbTest": rules_strategy.AB_TEST,
    "StickySpec": (
        Rule(
            rule=f"{how_many('header', 'cookie')} >= 1",
            message="name the user by a header, a cookie or both",
        ),
    ),
    "Traffic": rules_release.TRAFFIC,
    "ReleaseSpec": rules_release.SPEC,
    "Autoscaling": rules_release.AUTOSCALING,
    "DisruptionBudget": _one_of(
        ("minAvailable", "maxUnavailable"),
        "give minAvailable or maxUnavailable, one of the two",
    ),
    "PolicySpec": rules_policy.POLICY,
    "ObjectiveRef": rules_policy.OBJECTIVE,
    "PrometheusObjective": rules_policy.PROMETHEUS,
    "FreezeSpec": rules_policy.FREEZE,
    "WebhookOut": _one_of(
        ("url", "urlEnv"), "give url, or urlEnv where the address is a secret: one of the two"
    ),
    "SlackOut": _one_of(
        ("url", "urlEnv"), "give urlEnv, or url where the address is no secret: one of the two"
    ),
    "NotifySpec": _one_of(
        ("webhook", "slack"),
        "give webhook or slack, one of the two: further ones are further items",
    ),
}
"""By the name of the model."""
