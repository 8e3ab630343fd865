"""Why a revision was promoted, as one document that travels with it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sluice.cli.promotion.environments import Environment
from sluice.cli.promotion.source import Source
from sluice.nouns import Verdict
from sluice.reports import document
from sluice.reports.model import Decision

EVIDENCE = "sluice.dev/evidence"
"""Annotation of the target: the document in short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was seen of a revision in one environment, and who carried it to the next."""

    release: str
    revision: str
    """As it is called in ``environment``; where it goes it may be called otherwise."""
    environment: str
    namespace: str
    images: Mapping[str, str]
    image_ids: Mapping[str, str]
    model_digest: str | None
    promoted_at: str
    """RFC 3339, UTC; empty: unknown."""
    promoted_by: str
    """Who said so; empty: the checks did."""
    pass_number: int
    verdict: Verdict | None
    """With the counts, intervals and rules of every check."""
    decisions: tuple[Decision, ...]
    """Of the pass that promoted it, oldest first."""
    carried_to: str
    carried_at: str
    carried_by: str
    forced: tuple[str, ...] = ()
    """What ``--force`` overruled, one line each."""
    before: Mapping[str, Any] | None = None
    """The evidence in short that it came with, from the environment before."""

    @property
    def sha256(self) -> str:
        """Of the document as JSON without spaces."""
        return hashlib.sha256(document.dump_json(self)).hexdigest()

    def short(self) -> str:
        """For an annotation: who, when, verdict, counts, and the whole document's digest."""
        verdict = self.verdict
        content: dict[str, Any] = {
            "release": self.release,
            "revision": self.revision,
            "environment": self.environment,
            "namespace": self.namespace,
            "images": dict(self.images),
            "modelDigest": self.model_digest,
            "promoted": {"at": self.promoted_at, "by": self.promoted_by},
            "carried": {"to": self.carried_to, "at": self.carried_at, "by": self.carried_by},
            "sha256": self.sha256,
        }
        if verdict is not None:
            content["verdict"] = {
                "kind": str(verdict.kind),
                "requests": verdict.requests,
                "harmed": verdict.harmed,
                "checks": {f"{c.check}/{c.objective}": str(c.kind) for c in verdict.checks},
            }
        if self.forced:
            content["forced"] = list(self.forced)
        if self.before is not None:
            content["before"] = dict(self.before)
        return json.dumps(content, separators=(",", ":"), sort_keys=True)


def evidence_for(
    source: Source,
    *,
    here: Environment,
    there: Environment,
    by: str,
    at_ms: int,
    forced: tuple[str, ...],
) -> Evidence:
    """The document for a revision that is carried on now."""
    decision = source.promotion
    return Evidence(
        release=str(source.release["metadata"]["name"]),
        revision=source.revision,
        environment=here,
        namespace=source.namespace,
        images=source.images,
        image_ids=source.image_ids,
        model_digest=source.model_digest,
        promoted_at=_moment(decision.at_ms) if decision else "",
        promoted_by=decision.by if decision else "",
        pass_number=decision.pass_number if decision else 0,
        verdict=decision.verdict if decision else None,
        decisions=source.decisions,
        carried_to=there,
        carried_at=_moment(at_ms),
        carried_by=by,
        forced=forced,
        before=_before(source),
    )


def _before(source: Source) -> Mapping[str, Any] | None:
    """What the revision came with, if that was for the images that it runs."""
    text = (source.release["metadata"].get("annotations") or {}).get(EVIDENCE)
    try:
        content = json.loads(text) if text else None
    except ValueError:
        return None
    if not isinstance(content, dict) or content.get("images") != dict(source.images):
        return None
    return content


def _moment(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms // 1_000, UTC)
    return moment.isoformat().replace("+00:00", "Z")
