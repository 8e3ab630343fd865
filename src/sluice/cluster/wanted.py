"""What a Release asks for, checked whole with everything that it refers to."""

from dataclasses import dataclass, replace

from sluice import spec
from sluice.cluster.hosts import Hosts, conflicts, with_hosts
from sluice.cluster.keys import Object, key_of
from sluice.cluster.shelf import Shelf
from sluice.engine.plan import Plan
from sluice.errors import Fault, SpecError
from sluice.nouns import Capabilities, Workload
from sluice.spec.cluster import from_cluster
from sluice.spec.links import get


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A release as the loop takes it."""

    key: str
    generation: int
    """``metadata.generation`` of the object that asks for it."""
    release: spec.Release
    workload: Workload
    variants: tuple[tuple[str, Workload], ...]
    plan: Plan
    settings: spec.AnalysisSettings
    notices: tuple[str, ...]


def checked(obj: Object, shelf: Shelf) -> spec.Release:
    """The release of an object.

    Raises:
        SpecError: with every fault of it, and of the policy and the SLOs that it refers to.
    """
    document = from_cluster(obj)
    faults: list[Fault] = []
    try:
        documents = spec.from_objects([document], known=shelf.known, where=shelf.where)
    except SpecError as error:
        faults += error.faults
    ref = get(document, "spec", "policyRef", "name")
    broken = shelf.policy_faults.get(ref, ()) if isinstance(ref, str) else ()
    if broken:
        # It is there: what is wrong with it is what its reader needs.
        faults = [fault for fault in faults if fault.path != "spec.policyRef.name"]
        faults += broken
        if any("sloRef" in fault.path for fault in broken):
            faults += shelf.slo_faults
    if faults:
        raise SpecError(faults)
    return documents.releases[0]


def wanted(
    obj: Object,
    release: spec.Release,
    shelf: Shelf,
    hosts: Hosts,
    capabilities: Capabilities,
    *,
    digest: str = "",
) -> Wanted:
    """What the loop is to run for an object.

    Args:
        obj: The Release.
        release: The same, checked.
        shelf: What it may refer to.
        hosts: The host names that it gets.
        capabilities: What the data plane can do.
        digest: Of what tracked ConfigMaps and Secrets hold; empty: nothing is tracked.

    Raises:
        SpecError: with every fault of everything that belongs to it.
    """
    key = key_of(obj)
    policy = shelf.known.policy_of(release)
    named = spec.Release.model_validate(with_hosts(from_cluster(obj), hosts))
    plan = spec.to_plan(named, policy, capabilities)
    settings = spec.analysis_settings(release, policy, shelf.known.slos)
    return Wanted(
        key=key,
        generation=int(obj["metadata"].get("generation", 0)),
        release=release,
        workload=replace(spec.workload_of(release, tracked_digest=digest), release=key),
        variants=tuple(
            (name, replace(item, release=key))
            for name, item in spec.variants_of(release, tracked_digest=digest)
        ),
        plan=replace(plan, release=key),
        settings=settings,
        notices=tuple(conflicts(hosts)),
    )
