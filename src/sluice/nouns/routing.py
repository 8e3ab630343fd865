"""Where the requests of a release go, and what a router says of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from sluice.errors import InvariantError
from sluice.nouns.words import BP_TOTAL, Purpose, RevisionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One replica that can take requests."""

    name: str
    """Stable name of the replica (``taxi-7f3a9c-0``), unique in its revision."""
    host: str
    port: int

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sticky:
    """The same user goes to the same revision while weights stand, and only ever forward."""

    header: str | None = None
    """Request header that names the user; first choice."""
    cookie: str | None = None
    """Cookie that names the user; issued by the router when the request has neither."""
    salt: str
    """Hashed before the user, so that each release and pass draws its own guinea pigs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shield:
    """A candidate's failed answer is replaced by stable's, and still counted against it."""

    per_try_timeout_ms: int
    max_body_bytes: int = 1 << 20
    """Largest request body that can be sent twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Stable's and the candidate's answers to mirrored requests are kept, to be compared."""

    noise_bp: int = 0
    """Share of mirrored requests that stable answers a second time, so that it is compared with
    itself, basis points."""

    def __post_init__(self) -> None:
        if not 0 <= self.noise_bp <= BP_TOTAL:
            raise InvariantError(f"noise share {self.noise_bp} bp is outside 0..{BP_TOTAL}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """The request header that selects a forced or preview arm."""

    header: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """Where a share of the requests goes.

    ``weight_bp`` is the share of live requests for ``live``, the share of requests that are copied
    for ``mirror``, and 0 for ``forced`` and ``preview``, which are chosen by ``match`` (a header)
    or, for ``preview``, by one of ``hosts`` as well.
    """

    revision: RevisionId
    purpose: Purpose = Purpose.LIVE
    weight_bp: int = 0
    match: Match | None = None
    hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.weight_bp <= BP_TOTAL:
            raise InvariantError(f"weight {self.weight_bp} bp is outside 0..{BP_TOTAL}")
        chosen = self.match is not None or bool(self.hosts)
        if self.purpose in (Purpose.LIVE, Purpose.MIRROR) and chosen:
            raise InvariantError(f"a {self.purpose} arm is chosen by weight, not by header or host")
        if self.purpose in (Purpose.FORCED, Purpose.PREVIEW) and not chosen:
            raise InvariantError(f"a {self.purpose} arm needs a header or a host")


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """All the traffic of one release: one value, applied whole or refused.

    Live arms are ordered, candidates first and stable last; their weights sum to ``BP_TOTAL``. The
    last live arm is where traffic falls back to (lease, shield).
    """

    release: str
    generation: int
    """Grows with every change of this release's routing."""
    arms: tuple[Arm, ...]
    hosts: tuple[str, ...]
    """Host names (without port) that belong to the release; ``*`` takes what no other claims."""
    timeout_ms: int = 30_000
    sticky: Sticky | None = None
    shield: Shield | None = None
    lease_ms: int | None = None
    """Live weight of candidates returns to stable when not renewed for so long; None: no lease."""
    no_mirror: tuple[Match, ...] = ()
    """Requests that must not be repeated, never mirrored."""
    capture: Capture | None = None
    """Keep the answers to mirrored requests; None: mirrored requests are only counted."""

    def __post_init__(self) -> None:
        live = [arm for arm in self.arms if arm.purpose is Purpose.LIVE]
        if not live:
            raise InvariantError(f"release {self.release}: routing has no live arm")
        total = sum(arm.weight_bp for arm in live)
        if total != BP_TOTAL:
            raise InvariantError(f"release {self.release}: live weights sum to {total} bp")
        if len({arm.revision for arm in live}) != len(live):
            raise InvariantError(f"release {self.release}: a revision has two live arms")
        if not self.hosts:
            raise InvariantError(f"release {self.release}: routing has no host")
        if self.capture is not None and not self.mirrored:
            raise InvariantError(f"release {self.release}: captures answers, but mirrors nothing")

    @property
    def live(self) -> tuple[Arm, ...]:
        """Live arms in order; the last one is stable."""
        return tuple(arm for arm in self.arms if arm.purpose is Purpose.LIVE)

    @property
    def mirrored(self) -> tuple[Arm, ...]:
        """Arms that get copies of requests."""
        return tuple(
            arm for arm in self.arms if arm.purpose is Purpose.MIRROR and arm.weight_bp > 0
        )

    @property
    def fallback(self) -> RevisionId:
        """The revision that takes over when a candidate must not have traffic."""
        return self.live[-1].revision

    def weight_bp(self, revision: RevisionId) -> int:
        """Live weight of a revision, basis points; 0 when it has no live arm."""
        return next((arm.weight_bp for arm in self.live if arm.revision == revision), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """What a router needs to serve one release: its routing and who answers."""

    routing: Routing
    endpoints: Mapping[RevisionId, tuple[Endpoint, ...]]
    """Ready endpoints of every revision the routing names; may be empty, never missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """What one router says of one release."""

    router: str
    release: str
    generation: int
    """Generation that serves; 0: none yet."""
    lease_expired: bool = False
    """Candidate weight was returned to stable because nobody renewed the lease."""
    error: str = ""
    """Why the newest fragment was refused; the older generation goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a data plane can do; plans that need more are refused before anything moves."""

    weights: bool = True
    sticky: bool = True
    forced: bool = True
    preview: bool = True
    mirror: bool = True
    capture: bool = True
    """Answers to copied requests are kept beside stable's, to be compared."""
    shield: bool = True
    counters: bool = True
    """Requests are counted where they are routed; without, only objectives by query are judged."""
    lease: bool = True
