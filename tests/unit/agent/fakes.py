"""A sink that remembers, a clock that is set, and fragments."""

from dataclasses import dataclass, field

from sluice.dataplanes.envoyfiles import XdsConfig
from sluice.errors import RoutingRefused, TransientError
from sluice.nouns import BP_TOTAL, Arm, Endpoint, Fragment, RevisionId, Routing

V1, V2 = RevisionId("v1"), RevisionId("v2")


@dataclass
class Now:
    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class RecordingSink:
    """Takes configurations as Envoy's files would, and can refuse or be away."""

    current: XdsConfig = field(default_factory=XdsConfig)
    pushes: int = 0
    refuse_host: str = ""
    away: bool = False

    def prepare(self, config: XdsConfig) -> None:
        self.current = config

    async def push(self, config: XdsConfig, *, whole: bool = False) -> None:
        if self.away:
            raise TransientError("Envoy does not answer")
        hosts = [domain for host in config.routes["virtual_hosts"] for domain in host["domains"]]
        if self.refuse_host in hosts:
            raise RoutingRefused(f"Envoy refused the configuration: {self.refuse_host}")
        self.current = config
        self.pushes += 1

    def weights(self, release: str) -> dict[str, int]:
        host = next(h for h in self.current.routes["virtual_hosts"] if h["name"] == release)
        clusters = host["routes"][-1]["route"]["weighted_clusters"]["clusters"]
        return {item["name"]: item["weight"] for item in clusters}

    @property
    def clusters(self) -> set[str]:
        return {str(name) for name in self.current.clusters}


def fragment(
    release: str = "taxi",
    *,
    generation: int = 1,
    weight_bp: int = 2_000,
    lease_ms: int | None = None,
    port: int = 8_001,
    alone: bool = False,
) -> Fragment:
    """Candidate v2 and stable v1; only v1 when ``alone``."""
    both = (Arm(revision=V2, weight_bp=weight_bp), Arm(revision=V1, weight_bp=BP_TOTAL - weight_bp))
    arms = (Arm(revision=V1, weight_bp=BP_TOTAL),) if alone else both
    routing = Routing(
        release=release,
        generation=generation,
        arms=arms,
        hosts=(f"{release.replace('/', '.')}.test",),
        lease_ms=lease_ms,
    )
    return Fragment(
        routing=routing,
        endpoints={
            V1: (Endpoint(name="v1-0", host="127.0.0.1", port=8_000),),
            V2: (Endpoint(name="v2-0", host="127.0.0.1", port=port),),
        },
    )
