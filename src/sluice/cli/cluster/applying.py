"""Files to objects of a cluster: all of them checked here, then asked of the server, then made."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

from sluice import spec
from sluice.cli.cluster.controller import whereabouts
from sluice.cli.cluster.seen import is_observed, refusal
from sluice.cli.exits import NotAccepted
from sluice.errors import Fault, SpecError, UnknownRelease
from sluice.kube.client import KubeClient
from sluice.kube.errors import NotThere
from sluice.kube.kinds import CONFIG_MAP, RELEASE, RELEASE_POLICY, kind_of
from sluice.spec.tree import Unreadable, decode, read

MANAGER = "sluice-cli"
"""Owner of the fields that are applied from files, whoever runs the command."""
LOOK_S = 0.5

Object = dict[str, Any]
Files = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An object as it was and is."""

    before: Object | None
    after: Object

    @property
    def is_changed(self) -> bool:
        """Whether applying it changed what was asked for."""
        if self.before is None:
            return True
        return any(self.before.get(part) != self.after.get(part) for part in ("spec", "data"))


def namespaces_of(files: Files) -> set[str]:
    """Namespaces that documents name themselves; unreadable files have none."""
    found: set[str] = set()
    for _, text in files:
        try:
            values = [tree.value for tree in read(decode(text.encode("utf-8", "replace")))]
        except Unreadable:
            continue
        for value in values:
            metadata = value.get("metadata") if isinstance(value, Mapping) else None
            named = metadata.get("namespace") if isinstance(metadata, Mapping) else None
            if isinstance(named, str):
                found.add(named)
    return found


async def checked(kube: KubeClient, files: Files, namespace: str) -> spec.Documents:
    """The documents, checked as ``sluice lint`` checks them, with what they refer to.

    A policy or an SLO that the files leave out is looked for in the cluster.

    Raises:
        SpecError: every fault of every file.
    """
    texts = [spec.Text(text=text, name=name) for name, text in files]
    try:
        documents = spec.load(texts)
    except SpecError:
        # maybe only because a policy or an SLO stands in the cluster: a second look tells
        homes = namespaces_of(files) or {namespace}
        documents = spec.load(texts, known=await _standing(kube, homes))
    faults: list[Fault] = []
    for release in documents.releases:
        try:
            policy = documents.policy_of(release)
            spec.to_plan(release, policy)
            spec.analysis_settings(release, policy, documents.slos)
        except SpecError as error:
            file = documents.place(release).file
            faults += [replace(fault, file=fault.file or file) for fault in error.faults]
    if faults:
        raise SpecError(faults)
    return documents


async def make(kube: KubeClient, documents: spec.Documents, namespace: str) -> list[Made]:
    """Apply the documents that came from files: every one, or none when one is refused.

    Raises:
        SpecError: the API server refuses some; nothing was applied.
        UnknownRelease: the namespace, or Sluice itself, is not there.
    """
    given = _given(documents)
    objects = spec.to_cluster(given, namespace)
    faults: list[Fault] = []
    for obj in objects:
        try:
            await _apply(kube, obj, dry_run=True)
        except SpecError as error:
            kind, name = obj["kind"], obj["metadata"]["name"]
            file = given.places[kind, name].file if (kind, name) in given.places else ""
            faults += [replace(f, file=f.file or file or f"{kind} {name}") for f in error.faults]
    if faults:
        raise SpecError(faults)
    made = []
    for obj in objects:
        place = obj["metadata"]
        before = await kube.get(kind_of(obj), place["name"], place["namespace"])
        made.append(Made(before=before, after=await _apply(kube, obj)))
    return made


async def settled(kube: KubeClient, made: Iterable[Made], *, patience_s: float) -> list[Object]:
    """The releases among the objects, once the controller has looked at their specs.

    Those that it has not looked at when ``patience_s`` is over come as they are then.

    Raises:
        NotAccepted: the controller cannot use a spec, and says why.
    """
    end = monotonic() + patience_s
    releases = []
    for item in made:
        obj = item.after
        if obj["kind"] != RELEASE.kind:
            continue
        metadata = obj["metadata"]
        generation = int(metadata.get("generation") or 0)
        while not is_observed(obj, generation) and monotonic() < end:
            await asyncio.sleep(min(LOOK_S, max(0.0, end - monotonic())))
            found = await kube.get(RELEASE, metadata["name"], metadata["namespace"])
            if found is None:
                raise UnknownRelease(f"release {metadata['name']} was deleted meanwhile")
            obj = found
        if is_observed(obj, generation) and (reason := refusal(obj)):
            raise NotAccepted(
                f"Release {metadata['name']} was applied, and the controller cannot use it: "
                f"{reason}"
            )
        releases.append(obj)
    return releases


async def unseen(kube: KubeClient, name: str) -> str:
    """One line on a release that the controller has not looked at."""
    return f"the controller has not looked at {name} yet: {await whereabouts(kube)}"


async def _standing(kube: KubeClient, namespaces: Iterable[str]) -> spec.Documents:
    """Policies and SLOs of the cluster that can be read; a broken one is nobody's business here."""
    found: dict[tuple[str, str], Any] = {}
    for namespace in sorted(namespaces):
        objects: list[Any] = []
        for config_map in await kube.list(CONFIG_MAP, namespace, labels=f"{spec.SLO_LABEL}=true"):
            try:
                objects += spec.slos_from_cluster(config_map)
            except SpecError:
                continue
        objects += [spec.from_cluster(obj) for obj in await kube.list(RELEASE_POLICY, namespace)]
        for obj in objects:
            metadata = obj.get("metadata") if isinstance(obj, Mapping) else None
            if isinstance(metadata, Mapping):
                found.setdefault((str(obj.get("kind")), str(metadata.get("name"))), obj)
    usable = list(found.values())
    try:
        return spec.from_objects(usable, name="the cluster")
    except SpecError:
        return spec.from_objects(_sound(usable), name="the cluster")


def _sound(objects: Sequence[Any]) -> list[Any]:
    """Those that can be read; policies are tried with the SLOs that can."""
    slos = [item for item in objects if item.get("kind") == "SLO" and _loads([item])]
    policies = [item for item in objects if item.get("kind") != "SLO"]
    return [*slos, *(item for item in policies if _loads([*slos, item]))]


def _loads(objects: Sequence[Any]) -> bool:
    try:
        spec.from_objects(objects)
    except SpecError:
        return False
    return True


def _given(documents: spec.Documents) -> spec.Documents:
    """Without those that were only looked up."""

    def from_file(document: Any) -> bool:
        return (document.kind, document.name) in documents.places

    return replace(
        documents,
        policies=tuple(filter(from_file, documents.policies)),
        slos=tuple(filter(from_file, documents.slos)),
    )


async def _apply(kube: KubeClient, obj: Object, *, dry_run: bool = False) -> Object:
    try:
        return await kube.apply(obj, manager=MANAGER, force=True, dry_run=dry_run)
    except NotThere as error:
        namespace = obj["metadata"]["namespace"]
        raise UnknownRelease(
            f"neither namespace {namespace} nor Sluice is sure to be there ({error}): "
            f"`kubectl create namespace {namespace}`, `make install`"
        ) from error
