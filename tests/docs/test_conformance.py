"""What README says it can do is shown by a story that there is."""

import re

import pytest
from tests.conformance.results import read
from tests.docs.pages import ROOT

KEPT = read("memory")
NAME = re.compile(r"`([a-z]+/[^`]+)`")


def unshown(text: str) -> list[str]:
    """Rows of tables that say yes without naming a story, and stories that there are not."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    claims = [row for row in rows if re.search(r"\| yes\b", row)]
    return [row for row in claims if not NAME.search(row)] + [
        name for row in claims for name in NAME.findall(row) if name not in KEPT
    ]


def test_every_yes_of_the_readme_names_a_story_that_there_is() -> None:
    text = (ROOT / "README.md").read_text()
    assert "| yes" in text
    assert unshown(text) == []


@pytest.mark.parametrize(
    "row", ["| canary | a share | yes |", "| canary | a share | yes: `situations/canary/none` |"]
)
def test_a_yes_that_nothing_shows_would_be_seen(row: str) -> None:
    assert unshown(row) != []
