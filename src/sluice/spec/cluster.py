"""Documents as objects of a Kubernetes cluster, and back."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from sluice.errors import Fault, SpecError
from sluice.spec.loader import Document, Documents, to_object
from sluice.spec.places import Place
from sluice.spec.slo import SLO
from sluice.spec.tree import Unreadable, decode, read

SLO_LABEL = "sluice.dev/slo"
"""Marks ConfigMaps whose every key holds OpenSLO documents."""
SERVER_OWNED = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
)
"""Fields of ``metadata`` that the API server and controllers write, and no file."""


def from_cluster(obj: Mapping[str, Any]) -> dict[str, Any]:
    """What a file would say of an object that was read from the API server.

    Drops ``status`` and what the server keeps in ``metadata``; everything else stays as it is, so
    that ``from_objects`` says what is wrong with it.
    """
    document = {key: value for key, value in obj.items() if key != "status"}
    metadata = document.get("metadata")
    if isinstance(metadata, Mapping):
        document["metadata"] = {k: v for k, v in metadata.items() if k not in SERVER_OWNED}
    return document


def slos_from_cluster(config_map: Mapping[str, Any]) -> list[Any]:
    """The unchecked OpenSLO documents of a labelled ConfigMap, for ``from_objects``.

    Raises:
        SpecError: a key is no YAML; the fault's file is ``configmap/NAME:KEY``.
    """
    name = config_map["metadata"]["name"]
    found: list[Any] = []
    faults: list[Fault] = []
    for key, text in sorted((config_map.get("data") or {}).items()):
        file = f"configmap/{name}:{key}"
        try:
            for tree in read(decode(text.encode())):
                place = Place(file=file, lines=tree.lines)
                faults += [place.fault(fault.loc, fault.reason) for fault in tree.faults]
                found.append(tree.value)
        except Unreadable as error:
            fault = error.fault
            faults.append(Fault(path="file", reason=fault.reason, file=file, line=fault.line))
    if faults:
        raise SpecError(faults)
    return found


def to_cluster(documents: Documents, namespace: str) -> list[dict[str, Any]]:
    """Objects to apply, in an order in which nothing refers to what comes later.

    An SLO becomes a ConfigMap of its own, so that applying one file takes no other SLO away.

    Args:
        documents: Checked documents.
        namespace: Where documents go that name none. An SLO without one goes where the policies
            are that refer to it.
    """
    slos = [
        _config_map(slo, home)
        for slo in documents.slos
        for home in _homes(slo, documents, namespace)
    ]
    others: list[Document] = [*documents.policies, *documents.releases]
    return slos + [_placed(document, namespace) for document in others]


def _placed(document: Document, namespace: str) -> dict[str, Any]:
    obj = to_object(document)
    obj["metadata"] = {**obj["metadata"], "namespace": document.metadata.namespace or namespace}
    return obj


def _homes(slo: SLO, documents: Documents, namespace: str) -> Iterator[str]:
    if slo.metadata.namespace:
        yield slo.metadata.namespace
        return
    homes = {
        policy.metadata.namespace or namespace
        for policy in documents.policies
        if any(ref.slo_ref == slo.name for ref in policy.spec.objectives)
    }
    yield from sorted(homes) or (namespace,)


def _config_map(slo: SLO, namespace: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"slo-{slo.name}",
            "namespace": namespace,
            "labels": {SLO_LABEL: "true"},
        },
        "data": {f"{slo.name}.yaml": yaml.safe_dump(to_object(slo), sort_keys=False)},
    }
