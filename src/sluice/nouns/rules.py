"""What a plan asks of the world: questions, comparisons, goals, windows, receivers."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """How a gate is answered without a person.

    ``webhook``: a signed POST that says which release and gate; ``http``: one request whose answer
    must look so; ``command``: a process (a Job on Kubernetes) that must exit 0; ``load``: a load
    test against the candidate that must keep the SLO.
    """

    kind: Literal["webhook", "http", "command", "load"]
    url: str = ""
    """``webhook``: where to. ``http``: a path of the candidate's preview route, or a whole URL."""
    method: str = "GET"
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    status: tuple[int, ...] = (200,)
    """``http``: answers that are a yes."""
    contains: str = ""
    """``http``: what the body must contain; empty: anything."""
    command: tuple[str, ...] = ()
    """``command``, ``load``: program and arguments."""
    secret_env: str = ""
    """``webhook``: name of the environment variable that holds the HMAC key."""
    timeout_ms: int = 10_000
    """For one try."""
    retries: int = 3
    """Further tries when nothing (or nothing sensible) was answered."""
    every_ms: int = 10_000
    """Time between two questions while a webhook answers ``wait``, and the longest between two
    tries: those begin a second apart, and the pause doubles."""
    on_silence: Literal["hold", "abort", "approve"] = "hold"
    """What happens when every try went unanswered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """When a field of two answers counts as the same."""

    field: str
    """Name of an output (``duration``) or a dotted path in the JSON answer; ``*``: every other."""
    kind: Literal["number", "label", "ignore"] = "number"
    atol: float = 0.0
    """Numbers: |candidate - stable| <= atol + rtol * |stable| is the same."""
    rtol: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowRules:
    """How mirrored answers are compared, and when that is enough."""

    pairs: int
    """Judged pairs that end the stage."""
    compare: tuple[FieldRule, ...] = ()
    """Empty: every field, exactly."""
    max_disagreement: float = 0.01
    """Share of pairs that may differ beyond what stable differs from itself."""
    noise_bp: int = 0
    """Share of mirrored requests that a second stable replica answers as well, basis points; 0:
    the model is deterministic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What an A/B test is about."""

    name: str
    """Name of the outcome."""
    kind: Literal["binary", "continuous"]
    direction: Literal["increase", "decrease"] = "increase"
    """Which way is better."""
    cap: float | None = None
    """Continuous: outcomes above are taken as this (winsorised), registered beforehand."""
    covariate: str = ""
    """Name of a number known before the first exposure, for CUPED; empty: none."""
    mde: float = 0.0
    """Smallest relative change worth finding, for the duration that ``plan`` prints."""
    baseline: float = 0.0
    """Expected mean of stable, likewise."""
    deviation: float = 0.0
    """Continuous: expected standard deviation, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalRules:
    """How an A/B test is decided."""

    goals: tuple[Goal, ...]
    """The first decides; the others are shown."""
    alpha: float = 0.05
    """Chance of a decision although nothing differs, over the whole test and all variants."""
    horizon_users: int = 0
    """The test ends when so many users were exposed; 0: by decision or time only."""
    horizon_ms: int = 0
    """... or after so long; 0: no limit."""
    on_horizon: Literal["hold", "abort", "promote"] = "hold"
    """What happens at the horizon without a decision."""
    outcomes: str = ""
    """Where outcomes come from: a URL of a prediction store, or a CSV or JSONL file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRow:
    """One thing that is known of one user: that he was exposed, and perhaps what became of it."""

    user: str
    """Value of the sticky header or cookie."""
    at_ms: int | None = None
    """UTC ms; None: unknown, taken as within the test."""
    revision: str = ""
    """Revision that served him, where it was recorded."""
    goal: str = ""
    """Goal that the outcome is of; empty: the first one."""
    value: float | None = None
    """The outcome, 1 and 0 for yes and no; None: only that he was exposed."""
    covariates: tuple[tuple[str, float], ...] = ()
    """Numbers known before his first exposure, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomePage:
    """What a source of outcomes had new."""

    rows: tuple[OutcomeRow, ...]
    cursor: str
    """Where the next read goes on; opaque."""
    more: bool = False
    """There is more already: read again at once."""
    nameless: int = 0
    """Records without a user, left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeWindow:
    """A time of the week in which nothing grows and nothing is promoted."""

    days: tuple[int, ...]
    """Days on which the window begins, Monday is 0."""
    from_minute: int
    """Begin, minutes after midnight of the wall clock in ``time_zone``, 0..1439."""
    to_minute: int
    """End, 1..1440; not after the begin: on the day after."""
    time_zone: str
    """IANA name (``Europe/Berlin``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Who is told of decisions; addresses that are secrets are named, never written."""

    kind: Literal["webhook", "slack"]
    """``webhook``: CloudEvents as JSON; ``slack``: a text that Slack and its like show."""
    url: str = ""
    """Where to; empty: in the environment variable ``url_env``."""
    url_env: str = ""
    secret_env: str = ""
    """``webhook``: name of the environment variable that holds the HMAC key; empty: not signed."""
