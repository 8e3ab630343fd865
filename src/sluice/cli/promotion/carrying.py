"""From one environment to the next: what is asked, what is refused, what is written."""

from typing import Any

from sluice.cli.exits import WrongUsage
from sluice.cli.promotion.asked import Asked
from sluice.cli.promotion.environments import LABEL, Environment, environment_of, namespace_in
from sluice.cli.promotion.evidence import EVIDENCE, Evidence, evidence_for
from sluice.cli.promotion.overlay import write_overlay
from sluice.cli.promotion.source import Source, read_source, unpinned
from sluice.cli.promotion.target import template_for
from sluice.cli.where import Where
from sluice.errors import RefusedError, UnknownRelease
from sluice.kube.client import KubeClient
from sluice.kube.errors import NotThere
from sluice.kube.kinds import RELEASE

Object = dict[str, Any]


async def carry(where: Where, asked: Asked, *, by: str, at_ms: int) -> tuple[Evidence, list[str]]:
    """Do what ``promote-to`` was asked.

    Args:
        where: Context and namespace of the source.
        asked: What and where to.
        by: Who asks.
        at_ms: Now, UTC milliseconds.

    Returns:
        The evidence, and what was done in lines for people.

    Raises:
        RefusedError: with every reason why it is not carried.
        UnknownRelease: source or target is not there.
        WrongUsage: the environment or the target cannot be told from what was given.
        StateError: a kubeconfig or an overlay cannot be used.
    """
    kube = KubeClient.connect(context=where.context)
    try:
        namespace, name = await _named(kube, where, asked.release)
        source = await read_source(kube, name, namespace, revision=asked.revision)
        here = asked.here or environment_of(source.release, source.home, namespace)
        if here is None:
            raise WrongUsage(
                f"nothing says which environment namespace {namespace} is: label it with "
                f"{LABEL}=dev, or say --from dev"
            )
        forced = _checked(source, here, asked)
        evidence = evidence_for(
            source, here=here, there=asked.there, by=by, at_ms=at_ms, forced=forced
        )
        lines = [f"{name} {source.revision}: carried from {here} to {asked.there}"]
        lines += [f"forced: {line}" for line in forced]
        if asked.folder is not None:
            lines += write_overlay(asked.folder, source, evidence)
            return evidence, [*lines, "commit it: what applies the overlay releases it"]
        home = _home(asked, namespace, here)
        return evidence, [*lines, await _apply(kube, asked, home, source, evidence)]
    finally:
        await kube.close()


def _checked(source: Source, here: Environment, asked: Asked) -> tuple[str, ...]:
    """What is overruled by ``--force``.

    Raises:
        RefusedError: something speaks against it that is not, or cannot be, overruled.
    """
    there = asked.there
    doubts = []
    if here is not there.before:
        way = f"from {there.before}" if there.before else "from nowhere: it is the first"
        doubts.append(f"it stands in {here}, and a revision comes to {there} {way}")
    if source.doubt:
        doubts.append(source.doubt)
    never = []
    if here is there:
        never.append(f"it stands in {there} already")
    if there is Environment.PRODUCTION:
        pins = unpinned(source.images, source.model_digest)
        never += [f"production is pinned: {line}" for line in pins]
    if never or (doubts and not asked.force):
        lines = [*never, *(f"{line} (--force overrules)" for line in doubts)]
        raise RefusedError(
            f"{source.revision} of {source.namespace} is not carried to {there}:\n"
            + "\n".join(f"  {line}" for line in lines)
        )
    return tuple(doubts)


def _home(asked: Asked, namespace: str, here: Environment) -> str:
    if asked.namespace is not None:
        return asked.namespace
    moved = namespace_in(namespace, here, asked.there)
    if moved is not None:
        return moved
    if asked.context is not None:
        return namespace
    raise WrongUsage(
        f"namespace {namespace} has no {here} in its name: say where {asked.there} is with "
        "--to-namespace, --to-context or, for Git, --write"
    )


async def _apply(
    kube: KubeClient, asked: Asked, namespace: str, source: Source, evidence: Evidence
) -> str:
    other = KubeClient.connect(context=asked.context) if asked.context is not None else None
    try:
        return await _patch(other or kube, namespace, source, evidence)
    finally:
        if other is not None:
            await other.close()


async def _patch(kube: KubeClient, namespace: str, source: Source, evidence: Evidence) -> str:
    name = evidence.release
    target = await kube.get(RELEASE, name, namespace)
    if target is None:
        raise UnknownRelease(
            f"no release {name} in namespace {namespace}: make it once from its own files, such "
            f"as `kubectl apply -k k8s/overlays/{evidence.carried_to}`"
        )
    template = template_for(target, source)
    digest = source.model_digest
    runs = template == target["spec"]["template"] and digest == _digest(target)
    metadata = {
        "annotations": {EVIDENCE: evidence.short()},
        # what was read is what is changed: an edit in between must not be lost
        "resourceVersion": target["metadata"].get("resourceVersion"),
    }
    model = None if digest is None else {"digest": digest}
    spec = {"template": template, "model": model}
    await kube.patch(RELEASE, name, namespace, {"metadata": metadata, "spec": spec})
    if runs:
        return f"{name} in {namespace} ran it already: only the evidence is new"
    return f"changed {name} in {namespace}: it is released there by its own strategy"


def _digest(release: Object) -> Any:
    return (release["spec"].get("model") or {}).get("digest")


async def _named(kube: KubeClient, where: Where, name: str | None) -> tuple[str, str]:
    namespace = where.namespace or kube.namespace
    if name is not None:
        home, _, plain = name.rpartition("/")
        return home or namespace, plain
    try:
        found = [obj["metadata"]["name"] for obj in await kube.list(RELEASE, namespace)]
    except NotThere as error:
        raise UnknownRelease("this cluster knows no Releases: `make install`") from error
    if len(found) == 1:
        return namespace, str(found[0])
    if not found:
        raise UnknownRelease(f"there is no release in namespace {namespace}")
    raise WrongUsage(f"there are several releases: name one of {', '.join(sorted(found))}")
