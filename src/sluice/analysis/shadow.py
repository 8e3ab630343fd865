"""``shadow-disagreement``: whether the candidate's answers differ more than is allowed.

Where stable is asked twice, the candidate's difference from it is held against its difference from
itself, pair by pair: a bet on D = d - b in {-1, 0, 1} with E[D] at most the margin. With margin 0
that is the sequential McNemar test. Without a second answer the differences themselves are held
against the margin. Both depend on counts only, in whatever order they came.

Source: Waudby-Smith & Ramdas (2024), bounded betting; ``docs/explanation/shadow.md``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import exp, inf, log, log1p

from sluice.analysis import wording
from sluice.analysis.bounds import least_requests_absolute
from sluice.analysis.logmath import log_mean_exp
from sluice.nouns import CheckResult, VerdictKind

CHECK = "shadow-disagreement"
PROOF = "shadow-agreement"
FIELD_CHECK = "shadow-field"
ANSWERS = "answers"
"""What the check is on: whole answers; fields have their own names."""
FIELDS_SHOWN = 10
FIELD_ERRORS = 0.05
"""Expected share of wrong names among the fields that are said to differ (e-BH)."""

_THETAS = (0.52, 0.55, 0.6, 0.7, 0.8, 0.9, 0.97, 0.995)
_MULTIPLES = (1.5, 2.0, 3.0, 5.0, 10.0)
_PLAIN_RATES = (0.25, 0.8)
_BELOW = (0.02, 0.1, 0.2, 0.4, 0.6, 0.8)
_IMPOSSIBLE = 1_000.0
"""ln of the e-value of what the hypothesis excludes: finite, so that it can be written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Pairs of one field, or of whole answers."""

    pairs: int = 0
    more: int = 0
    """The candidate differs from stable, and stable (if asked twice) not from itself."""
    less: int = 0
    """Stable differs from itself, the candidate from it not."""
    both: int = 0
    """Both differ: says nothing."""

    @property
    def differing(self) -> int:
        """Pairs in which the candidate differs."""
        return self.more + self.both

    @property
    def noisy(self) -> int:
        """Pairs in which stable differs from itself."""
        return self.less + self.both

    def add(self, *, candidate: bool, again: bool) -> "Tally":
        """One more pair.

        Args:
            candidate: The candidate differs from stable.
            again: Stable differs from itself.
        """
        return Tally(
            pairs=self.pairs + 1,
            more=self.more + (candidate and not again),
            less=self.less + (again and not candidate),
            both=self.both + (candidate and again),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowTest:
    """How pairs are judged."""

    margin: float
    """Share of pairs that may differ, beyond stable's own noise where that is known."""
    noisy: bool
    """Stable is asked twice."""
    alpha: float
    beta: float

    @property
    def log_threshold(self) -> float:
        """Where the check fails, ln(1/alpha)."""
        return -log(self.alpha)

    @property
    def log_proof(self) -> float:
        """Where agreement is proven, ln(1/beta)."""
        return -log(self.beta)

    def against(self, tally: Tally) -> float:
        """Ln of the e-value against "differs no more than allowed"."""
        if self._strict:
            return _IMPOSSIBLE if tally.differing else 0.0
        return log_mean_exp(_against(self.noisy, self.margin, tally))

    def agreeing(self, tally: Tally) -> float:
        """Ln of the e-value against "differs more than allowed"."""
        return 0.0 if self._strict else log_mean_exp(_agreeing(self.noisy, self.margin, tally))

    @property
    def _strict(self) -> bool:
        """No pair may differ: one difference decides, and nothing proves that none ever will."""
        return self.margin <= 0.0 and not self.noisy


def _against(noisy: bool, margin: float, tally: Tally) -> list[float]:
    if not noisy:
        rates = sorted({*(m * margin for m in _MULTIPLES), *_PLAIN_RATES})
        above = [g for g in rates if margin < g < 1.0] or [(1.0 + margin) / 2.0]
        return [_bernoulli(g, margin, tally) for g in above]
    same = tally.pairs - tally.more - tally.less
    stakes = [min(2.0 * theta - 1.0, 0.99 / (1.0 + margin)) for theta in _THETAS]
    return [
        tally.more * log1p(bet * (1.0 - margin))
        + tally.less * log1p(-bet * (1.0 + margin))
        + same * log1p(-bet * margin)
        for bet in stakes
    ]


def _agreeing(noisy: bool, margin: float, tally: Tally) -> list[float]:
    if not noisy:
        return [_bernoulli(f * margin, margin, tally) for f in _BELOW]
    same = tally.pairs - tally.more - tally.less
    stakes = [0.99 * share for share in (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95)]
    return [
        tally.more * log1p(-bet * (1.0 - margin))
        + tally.less * log1p(bet * (1.0 + margin))
        + same * log1p(bet * margin)
        for bet in stakes
    ]


def _bernoulli(rate: float, null: float, tally: Tally) -> float:
    alike = tally.pairs - tally.differing
    return tally.differing * log(rate / null) + alike * (log1p(-rate) - log1p(-null))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowState:
    """What is remembered of the pairs of a stage."""

    whole: Tally = Tally()
    peak: float = 0.0
    """Highest ln E so far: an e-process that crossed once has rejected (Ville)."""
    proof_peak: float = 0.0


def scored(
    test: ShadowTest, state: ShadowState, outcomes: Iterable[tuple[bool, bool]]
) -> ShadowState:
    """The state after further pairs.

    Args:
        test: How they are judged; the same at every call of a stage.
        state: The state before.
        outcomes: (candidate differs from stable, stable differs from itself) of each pair.
    """
    whole, peak = state.whole, state.peak
    for candidate, again in outcomes:
        whole = whole.add(candidate=candidate, again=again)
        if candidate:  # nothing else can lift it
            peak = max(peak, test.against(whole))
    proof = max(state.proof_peak, test.agreeing(whole))
    return replace(state, whole=whole, peak=peak, proof_peak=proof)


def checks(
    test: ShadowTest, state: ShadowState, fields: Mapping[str, Tally]
) -> tuple[CheckResult, ...]:
    """The check on whole answers, its counterpart, and the fields that differ, worst first."""
    whole = state.whole
    allowed = wording.percent(test.margin)
    beyond = " beyond stable's difference from itself" if test.noisy else ""
    failed = state.peak >= test.log_threshold
    proven = state.proof_peak >= test.log_proof
    against, agreeing = test.against(whole), test.agreeing(whole)
    main = _result(
        CHECK,
        ANSWERS,
        VerdictKind.FAILED if failed else VerdictKind.INCONCLUSIVE,
        against,
        test.log_threshold,
        state.peak,
        whole.pairs,
        limit=least_pairs(test, whole),
        weight=1.0,
        rule=f"fails when answers differ in more than {allowed} of pairs{beyond}: "
        f"{whole.differing:,} of {whole.pairs:,} differ, e-value {wording.e_value(against)}",
    )
    proof = _result(
        PROOF,
        ANSWERS,
        VerdictKind.PASSED if proven else VerdictKind.INCONCLUSIVE,
        agreeing,
        test.log_proof,
        state.proof_peak,
        whole.pairs,
        rule=f"proves that answers differ in less than {allowed} of pairs{beyond}: "
        f"e-value {wording.e_value(agreeing)}",
    )
    return (main, proof, *_field_checks(test, fields))


def _field_checks(test: ShadowTest, fields: Mapping[str, Tally]) -> list[CheckResult]:
    values = {name: test.against(tally) for name, tally in fields.items()}
    named = fields_that_differ(values)
    differing = [name for name in values if fields[name].differing]
    worst = sorted(differing, key=lambda name: (-values[name], name))[:FIELDS_SHOWN]
    return [
        _result(
            FIELD_CHECK,
            name,
            VerdictKind.FAILED if name in named else VerdictKind.INCONCLUSIVE,
            values[name],
            log(len(values) / FIELD_ERRORS),
            max(0.0, values[name]),
            fields[name].pairs,
            rule=f"differs in {fields[name].differing:,} of {fields[name].pairs:,} pairs"
            + (f", stable from itself in {fields[name].noisy:,}" if test.noisy else ""),
        )
        for name in worst
    ]


def fields_that_differ(log_e: Mapping[str, float], level: float = FIELD_ERRORS) -> frozenset[str]:
    """e-BH: the fields of which at most a share of ``level`` is expected to be named wrongly.

    Args:
        log_e: ln of the e-value of each field; they may depend on each other in any way.
        level: False discovery rate, in (0, 1).

    Source: Wang & Ramdas (2022): the k largest, for the largest k with e_(k) >= K / (k level).
    """
    ranked = sorted(log_e, key=lambda name: -log_e[name])
    for k in range(len(ranked), 0, -1):
        if log_e[ranked[k - 1]] >= log(len(ranked) / (k * level)):
            return frozenset(ranked[:k])
    return frozenset()


def least_pairs(test: ShadowTest, tally: Tally) -> float:
    """Pairs that any test needs at the rates seen so far; inf when there is nothing to find."""
    if not tally.pairs:
        return inf
    if not test.noisy:
        rate = tally.differing / tally.pairs
        if rate <= test.margin:
            return inf
        return least_requests_absolute(rate, test.margin, test.log_threshold)
    growth = max(_against(True, test.margin, tally)) / tally.pairs
    return test.log_threshold / growth if growth > 0.0 else inf


def _result(
    check: str,
    objective: str,
    kind: VerdictKind,
    log_e: float,
    log_threshold: float,
    peak: float,
    pairs: int,
    *,
    rule: str,
    limit: float = inf,
    weight: float = 0.0,
) -> CheckResult:
    return CheckResult(
        check=check,
        objective=objective,
        kind=kind,
        log_e=log_e,
        log_threshold=log_threshold,
        p_value=exp(-peak),
        weight=weight,
        requests=pairs,
        information_limit=limit,
        rule=rule,
    )
