"""Policies and SLOs of one namespace, checked: what its releases may refer to."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sluice import spec
from sluice.cluster.keys import Object
from sluice.errors import Fault, SpecError
from sluice.spec.cluster import from_cluster, slos_from_cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What can be used, and why the rest cannot."""

    namespace: str
    known: spec.Documents
    """Policies and SLOs without a fault."""
    policy_faults: Mapping[str, tuple[Fault, ...]]
    """By name of the policy."""
    slo_faults: tuple[Fault, ...]
    """Of ConfigMaps with SLOs: nobody knows which SLOs they would hold."""

    @property
    def where(self) -> spec.Where:
        """How messages call this namespace."""
        return spec.Where(place=f"namespace {self.namespace}", remedy="apply it too")


def shelf_of(namespace: str, policies: Iterable[Object], config_maps: Iterable[Object]) -> Shelf:
    """Check everything that releases of a namespace may refer to.

    Args:
        namespace: Its name.
        policies: Its ReleasePolicies.
        config_maps: Its ConfigMaps that are labelled as SLOs.
    """
    slos, slo_faults = _slos(config_maps)
    known = spec.Documents(slos=slos)
    shelf = Shelf(namespace=namespace, known=known, policy_faults={}, slo_faults=slo_faults)
    found: list[spec.ReleasePolicy] = []
    faults: dict[str, tuple[Fault, ...]] = {}
    for policy in policies:
        name = policy["metadata"]["name"]
        try:
            checked = spec.from_objects(
                [from_cluster(policy)],
                name=f"releasepolicy/{name}",
                known=known,
                where=shelf.where,
            )
        except SpecError as error:
            faults[name] = error.faults
        else:
            found += [item for item in checked.policies if item.name == name]
    return Shelf(
        namespace=namespace,
        known=spec.Documents(policies=tuple(found), slos=slos),
        policy_faults=faults,
        slo_faults=slo_faults,
    )


def _slos(config_maps: Iterable[Object]) -> tuple[tuple[spec.SLO, ...], tuple[Fault, ...]]:
    found: dict[str, spec.SLO] = {}
    homes: dict[str, str] = {}
    faults: list[Fault] = []
    for config_map in sorted(config_maps, key=lambda item: str(item["metadata"]["name"])):
        file = f"configmap/{config_map['metadata']['name']}"
        try:
            documents = spec.from_objects(slos_from_cluster(config_map), name=file)
        except SpecError as error:
            faults += error.faults
            continue
        faults += [
            Fault(path="kind", reason=f"{item.kind} has no place here: apply it itself", file=file)
            for item in documents
            if item.kind != "SLO"
        ]
        for slo in documents.slos:
            if slo.name in found:
                reason = f'SLO "{slo.name}" is in {homes[slo.name]} already: keep one'
                faults.append(Fault(path="metadata.name", reason=reason, file=file))
                continue
            found[slo.name], homes[slo.name] = slo, file
    return tuple(found.values()), tuple(faults)
