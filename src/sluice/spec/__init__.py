"""Release, ReleasePolicy and SLO: from YAML to checked documents, and on to plans."""

from sluice.spec.cluster import SLO_LABEL, from_cluster, slos_from_cluster, to_cluster
from sluice.spec.compile import to_plan
from sluice.spec.links import Where
from sluice.spec.lint import LintWarning, lint
from sluice.spec.loader import Documents, Text, from_objects, load, to_object
from sluice.spec.places import Place
from sluice.spec.policy import ReleasePolicy
from sluice.spec.release import Release
from sluice.spec.revisions import revision_of, variants_of, workload_of
from sluice.spec.scalars import format_duration, parse_duration
from sluice.spec.schema import schema_of
from sluice.spec.settings import (
    DEFAULT_OBJECTIVES,
    DEFAULT_POLICY,
    AnalysisSettings,
    analysis_settings,
    objectives_of,
)
from sluice.spec.slo import SLO

__all__ = [
    "DEFAULT_OBJECTIVES",
    "DEFAULT_POLICY",
    "SLO",
    "SLO_LABEL",
    "AnalysisSettings",
    "Documents",
    "LintWarning",
    "Place",
    "Release",
    "ReleasePolicy",
    "Text",
    "Where",
    "analysis_settings",
    "format_duration",
    "from_cluster",
    "from_objects",
    "lint",
    "load",
    "objectives_of",
    "parse_duration",
    "revision_of",
    "schema_of",
    "slos_from_cluster",
    "to_cluster",
    "to_object",
    "to_plan",
    "variants_of",
    "workload_of",
]
