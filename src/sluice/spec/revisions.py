"""What revisions run, and their names."""

import hashlib
import json

from sluice.nouns import RevisionId, Workload
from sluice.spec.release import Release
from sluice.spec.template import PodTemplate

REVISION_LENGTH = 10


def revision_of(release: Release) -> RevisionId:
    """Short hash of what runs: pod template, tracked config and model digest.

    Order and layout of the file, strategy, policy, replicas and traffic do not enter it.
    """
    return _revision(release, release.spec.template)


def workload_of(release: Release) -> Workload:
    """What the revision of this release runs."""
    return _workload(release, release.spec.template)


def variants_of(release: Release) -> tuple[tuple[str, Workload], ...]:
    """What the further variants of the release's A/B tests run, by name; mostly none.

    A variant's revision is made like a candidate's: with the same template, it is the same.
    """
    found: dict[str, Workload] = {}
    for _, test in release.spec.strategy.tests:
        for variant in test.variants:
            if variant.template is not None:
                found.setdefault(variant.name, _workload(release, variant.template))
    return tuple(found.items())


def _workload(release: Release, template: PodTemplate) -> Workload:
    return Workload(
        release=release.name,
        revision=_revision(release, template),
        template=template.model_dump(mode="json", by_alias=True, exclude_unset=True),
        port=release.spec.traffic.port,
    )


def _revision(release: Release, template: PodTemplate) -> RevisionId:
    tracked, model = release.spec.tracked, release.spec.model
    content = {
        "template": template.model_dump(mode="json", by_alias=True, exclude_unset=True),
        "configMaps": sorted(tracked.config_maps) if tracked else [],
        "secrets": sorted(tracked.secrets) if tracked else [],
        "model": model.digest if model else None,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return RevisionId(hashlib.sha256(text.encode()).hexdigest()[:REVISION_LENGTH])
