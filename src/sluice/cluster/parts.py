"""What a leadership works with: the adapters behind the loop's ports."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sluice.cluster.keys import Object
from sluice.cluster.wanted import Wanted
from sluice.kube.client import KubeClient
from sluice.nouns import Workload
from sluice.ports import DataPlane, Hook, MetricSource, Pairs, Platform
from sluice.spec import Release

Counted = Callable[[], Iterable[tuple[str, str, float]]]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Everything outside of the controller's own process."""

    objects: KubeClient
    """For objects of releases; what it does must not hold back status or lease."""
    status: KubeClient
    """For status, and nothing else."""
    platform: Platform
    changes: Callable[[int], Awaitable[int]]
    """Returns a version as soon as the platform shows something else than at the version given."""
    dataplane: DataPlane
    metrics: MetricSource
    answers: Pairs
    hook: Hook
    digest: Callable[[str, Release], Awaitable[str]]
    """Of what a release's tracked ConfigMaps and Secrets hold now, by key and release."""
    describe: Callable[[Wanted, str], None]
    """Told what belongs to a release beyond its workload, and the uid of its object."""
    assume: Callable[[Object], None]
    """Told of an object whose spec has a fault: what runs of it goes on."""
    admit: Callable[[Workload], Awaitable[None]]
    """Asks the API server whether the pods of a revision could run. Raises SpecError: they could
    not, with every reason."""
    leave: Callable[[str], Awaitable[None]]
    """A release is gone: what is left beside its replicas goes too."""
    routers: Callable[[], object]
    """Differs when a router comes or goes."""
    router_url: str
    problems: Callable[[str], Sequence[str]] = lambda _: ()
    """What is wrong with a release's objects, or with routers, one line each."""
    counters: Counted = field(default=tuple)
    """Further counters: name, help, value."""
    run: Sequence[Callable[[], Awaitable[None]]] = ()
    """What goes on beside the loop for as long as this process leads."""
    prepare: Callable[[], Awaitable[None]] | None = None
    """Returns once everything has been listed that the loop needs to see."""
