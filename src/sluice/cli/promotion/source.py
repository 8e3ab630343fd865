"""What is carried: the stable revision of a release, what it runs, and why it is stable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.cli import output
from sluice.cli.cluster.seen import is_observed, seen
from sluice.errors import RefusedError, UnknownRelease
from sluice.kube.client import KubeClient
from sluice.kube.kinds import DEPLOYMENT, NAMESPACE, POD, RELEASE
from sluice.nouns import Phase, RevisionId, VerdictKind
from sluice.reports.model import Decision

LISTS = ("initContainers", "containers")
MODEL_ENV = "sluice.dev/model-env"
"""Annotation of a Release: the variables that say which model its image serves."""
DEFAULT_MODEL_ENV = ("MODEL_API_BUNDLE", "MODEL_API_DIGEST")
"""Of the model API of this project."""

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A stable revision where it was promoted."""

    release: Object
    namespace: str
    home: Object | None
    """The namespace's object; None: this user may not read it."""
    revision: RevisionId
    images: Mapping[str, str]
    """Of each container, by its name."""
    image_ids: Mapping[str, str]
    """What the nodes pulled for them, by container; empty where pods cannot be read."""
    model_digest: str | None
    model_env: tuple[str, ...]
    """Variables that are carried with the image: they say which model it serves."""
    decisions: tuple[Decision, ...]
    """Of the pass that made it stable, oldest first; empty when they are no longer kept."""

    @property
    def promotion(self) -> Decision | None:
        """The decision that made it stable."""
        found = [item for item in self.decisions if item.kind == "Promoted"]
        return found[-1] if found else None

    @property
    def doubt(self) -> str:
        """Why there is no evidence for it; empty when its checks passed."""
        decision = self.promotion
        if decision is None:
            return "no decision that promoted it is kept any more: there is no evidence"
        if decision.reason == "FirstRevision":
            return "it became stable as the first revision: no check has judged it"
        if decision.verdict is None or decision.verdict.kind is not VerdictKind.PASSED:
            kind = decision.verdict.kind if decision.verdict is not None else "no"
            by = f" by {decision.by}" if decision.by else ""
            return f"it was promoted{by} on {kind} verdict: its checks have not passed"
        return ""


async def read_source(
    kube: KubeClient, name: str, namespace: str, *, revision: str | None
) -> Source:
    """The stable revision of a release.

    Args:
        kube: The cluster it stands in.
        name: Of the release.
        namespace: Of the release.
        revision: The one that is meant; None: whichever is stable.

    Raises:
        UnknownRelease: no such release.
        RefusedError: nothing there is promoted and at rest, or another revision is.
    """
    obj = await kube.get(RELEASE, name, namespace)
    if obj is None:
        raise UnknownRelease(f"no release {name} in namespace {namespace}")
    view = seen(obj, name=name, now_ms=output.now_ms())
    status = view.status
    here = f"{name} in {namespace}"
    if status.stable is None or not is_observed(obj, int(obj["metadata"].get("generation") or 0)):
        raise RefusedError(f"{here} has nothing that was promoted: {status.message}")
    if status.candidate is not None or status.phase is not Phase.HEALTHY:
        raise RefusedError(
            f"{here} is {status.phase}, its spec is that of {status.candidate or 'no revision'}: "
            f"only a revision that was promoted and is served alone can be carried on"
        )
    if revision is not None and revision != status.stable:
        raise RefusedError(f"{revision} is not promoted in {here}: {status.stable} is")
    images = images_of(obj)
    deployment = await _readable(kube, f"{name}-{status.stable}", namespace)
    if deployment is not None and images_of(deployment) != images:
        raise RefusedError(
            f"{here} serves {status.stable}, which is not what its spec asks for (after an "
            "undo?): apply the spec of the revision that is meant, or let the new one pass"
        )
    number = max((d.pass_number for d in view.decisions if _made(d, status.stable)), default=None)
    return Source(
        release=obj,
        namespace=namespace,
        home=await _namespace(kube, namespace),
        revision=status.stable,
        images=images,
        image_ids=await _image_ids(kube, name, namespace, status.stable, images),
        model_digest=(obj["spec"].get("model") or {}).get("digest"),
        model_env=_model_env(obj),
        decisions=tuple(d for d in view.decisions if d.pass_number == number),
    )


def images_of(obj: Mapping[str, Any]) -> dict[str, str]:
    """Image of each container of an object's pod template, by name."""
    pod = obj["spec"]["template"]["spec"]
    return {
        str(item["name"]): str(item["image"])
        for part in LISTS
        for item in pod.get(part) or ()
        if item.get("image")
    }


def unpinned(images: Mapping[str, str], model_digest: str | None) -> list[str]:
    """Why what runs could change unseen, one line an image; empty when it is pinned.

    Pinned is an image by its digest, or by a fixed tag with the digest of the model it serves.
    """
    lines = []
    for container, image in images.items():
        tag = image.rpartition("/")[2].partition(":")[2]
        if "@sha256:" in image:
            continue
        if tag in ("", "latest"):
            lines.append(f"image {image} of {container} names no fixed version")
        elif model_digest is None:
            lines.append(f"image {image} of {container} has a tag only, and no spec.model.digest")
    return lines


def _model_env(obj: Mapping[str, Any]) -> tuple[str, ...]:
    said = (obj["metadata"].get("annotations") or {}).get(MODEL_ENV)
    if said is None:
        return DEFAULT_MODEL_ENV
    return tuple(name for word in said.split(",") if (name := word.strip()))


def _made(decision: Decision, revision: RevisionId) -> bool:
    return decision.kind == "Promoted" and decision.revision == revision


async def _readable(kube: KubeClient, name: str, namespace: str) -> Object | None:
    try:
        return await kube.get(DEPLOYMENT, name, namespace)
    except RefusedError:
        return None  # who may read releases need not be allowed to read deployments


async def _namespace(kube: KubeClient, name: str) -> Object | None:
    try:
        return await kube.get(NAMESPACE, name)
    except RefusedError:
        return None


async def _image_ids(
    kube: KubeClient, name: str, namespace: str, revision: str, wanted: Mapping[str, str]
) -> dict[str, str]:
    labels = f"sluice.dev/release={name},sluice.dev/revision={revision}"
    try:
        pods = await kube.list(POD, namespace, labels=labels)
    except RefusedError:
        return {}
    found: dict[str, str] = {}
    for pod in pods:
        status = pod.get("status") or {}
        every: Sequence[Any] = [
            *(status.get("initContainerStatuses") or ()),
            *(status.get("containerStatuses") or ()),
        ]
        for item in every:
            if item.get("name") in wanted and item.get("imageID"):
                found.setdefault(str(item["name"]), str(item["imageID"]))
    return found
