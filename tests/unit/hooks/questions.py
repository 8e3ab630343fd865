"""Questions to ask in tests."""

from dataclasses import replace

from sluice.nouns import Ask, Question, Reach, RevisionId


def question(ask: Ask, **changes: object) -> Question:
    """A gate of the third pass of a release."""
    asked = Question(
        id="ml/taxi/3/smoke",
        release="ml/taxi",
        pass_number=3,
        revision=RevisionId("v2"),
        stable=RevisionId("v1"),
        gate="smoke",
        strategy="canary",
        step="gate smoke",
        weight_bp=525,
        ask=ask,
        reach=Reach(),
    )
    return replace(asked, **changes)  # type: ignore[arg-type]  # fields of Question
