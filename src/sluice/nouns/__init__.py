"""The values that every part of Sluice shares: frozen, keyword-only, validated when built.

Words are those of the design (section 2): a release, its revisions in the roles stable and
candidate, routing as ordered arms, counters in, verdicts out. Nothing here does anything.
"""

from sluice.nouns.counters import ArmCounts, Counts, Snapshot
from sluice.nouns.pairs import Answer, Pair, PairBatch
from sluice.nouns.questions import AnswerKind, GateAnswer, Job, JobEnd, Notice, Question, Reach
from sluice.nouns.routing import (
    Ack,
    Arm,
    Capabilities,
    Capture,
    Endpoint,
    Fragment,
    Match,
    Routing,
    Shield,
    Sticky,
)
from sluice.nouns.rules import (
    Ask,
    FieldRule,
    FreezeWindow,
    Goal,
    GoalRules,
    Notify,
    OutcomePage,
    OutcomeRow,
    ShadowRules,
)
from sluice.nouns.verdicts import CheckResult, Difference, Evidence, Objective, Verdict
from sluice.nouns.words import BP_TOTAL, LATENCY_GRID_MS, Phase, Purpose, RevisionId, VerdictKind
from sluice.nouns.workloads import Replicas, Workload

__all__ = [
    "BP_TOTAL",
    "LATENCY_GRID_MS",
    "Ack",
    "Answer",
    "AnswerKind",
    "Arm",
    "ArmCounts",
    "Ask",
    "Capabilities",
    "Capture",
    "CheckResult",
    "Counts",
    "Difference",
    "Endpoint",
    "Evidence",
    "FieldRule",
    "Fragment",
    "FreezeWindow",
    "GateAnswer",
    "Goal",
    "GoalRules",
    "Job",
    "JobEnd",
    "Match",
    "Notice",
    "Notify",
    "Objective",
    "OutcomePage",
    "OutcomeRow",
    "Pair",
    "PairBatch",
    "Phase",
    "Purpose",
    "Question",
    "Reach",
    "Replicas",
    "RevisionId",
    "Routing",
    "ShadowRules",
    "Shield",
    "Snapshot",
    "Sticky",
    "Verdict",
    "VerdictKind",
    "Workload",
]
