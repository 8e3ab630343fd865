"""What revisions run, and their names."""

import hashlib
import json
from typing import Any

from sluice.nouns import RevisionId, Workload
from sluice.spec.release import Release
from sluice.spec.template import PodTemplate

REVISION_LENGTH = 10


def revision_of(release: Release, *, tracked_digest: str = "") -> RevisionId:
    """Short hash of what runs: pod template, tracked config and model digest.

    Order and layout of the file, strategy, policy, replicas and traffic do not enter it.

    Args:
        release: The document.
        tracked_digest: Of the content of tracked ConfigMaps and Secrets, in a cluster. Empty:
            only their names enter, as on a laptop, where there are none.
    """
    return _revision(release, release.spec.template, tracked_digest)


def workload_of(release: Release, *, tracked_digest: str = "") -> Workload:
    """What the revision of this release runs; ``tracked_digest`` as in :func:`revision_of`."""
    return _workload(release, release.spec.template, tracked_digest)


def variants_of(release: Release, *, tracked_digest: str = "") -> tuple[tuple[str, Workload], ...]:
    """What the further variants of the release's A/B tests run, by name; mostly none.

    A variant's revision is made like a candidate's: with the same template, it is the same.
    """
    found: dict[str, Workload] = {}
    for _, test in release.spec.strategy.tests:
        for variant in test.variants:
            if variant.template is not None:
                found.setdefault(variant.name, _workload(release, variant.template, tracked_digest))
    return tuple(found.items())


def _workload(release: Release, template: PodTemplate, tracked_digest: str) -> Workload:
    return Workload(
        release=release.name,
        revision=_revision(release, template, tracked_digest),
        template=template.model_dump(mode="json", by_alias=True, exclude_unset=True),
        port=release.spec.traffic.port,
    )


def _revision(release: Release, template: PodTemplate, tracked_digest: str) -> RevisionId:
    tracked, model = release.spec.tracked, release.spec.model
    content: dict[str, Any] = {
        "template": template.model_dump(mode="json", by_alias=True, exclude_unset=True),
        "configMaps": sorted(tracked.config_maps) if tracked else [],
        "secrets": sorted(tracked.secrets) if tracked else [],
        "model": model.digest if model else None,
    }
    if tracked_digest:
        content["trackedDigest"] = tracked_digest
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return RevisionId(hashlib.sha256(text.encode()).hexdigest()[:REVISION_LENGTH])
