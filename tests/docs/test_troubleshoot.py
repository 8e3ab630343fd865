"""Every reason and kind of decision that the engine can give is explained, and no other."""

import ast
import re
from collections.abc import Iterator

from tests.docs.pages import ROOT

from sluice.cli.main import EXAMPLES
from sluice.nouns import Phase

PAGE = ROOT / "docs" / "how-to" / "troubleshoot.md"
CONSTANT = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)*")


def constants(source: str) -> Iterator[str]:
    """Texts in code that are written like a reason, docstrings left out."""
    for node in ast.walk(ast.parse(source)):
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(text, str) and CONSTANT.fullmatch(text):
            yield text


def given() -> set[str]:
    """Reasons and kinds that the engine's sources contain."""
    sources = (ROOT / "src" / "sluice" / "engine").glob("*.py")
    return {name for path in sources for name in constants(path.read_text())}


def explained() -> set[str]:
    """First cells of the tables of reasons and kinds."""
    tables = PAGE.read_text().partition("## Every reason")[2]
    return set(re.findall(r"^\| `([A-Za-z]+)` \|", tables, re.MULTILINE))


def test_every_reason_and_kind_is_explained_and_no_other() -> None:
    assert explained() == given()


def test_every_phase_is_explained() -> None:
    text = PAGE.read_text()
    assert [phase for phase in Phase if f"| `{phase}` |" not in text] == []


def test_every_verb_says_what_it_does_to_traffic() -> None:
    text = (ROOT / "docs" / "how-to" / "verbs.md").read_text()
    told = set(re.findall(r"`(?:sluice )?([a-z][a-z-]*)\b", text))
    assert sorted(set(EXAMPLES) - told - {"up"}) == []


def test_a_new_reason_would_be_seen() -> None:
    assert set(constants('hold(state, "DiskOnFire", "message")')) == {"DiskOnFire"}
    assert "DiskOnFire" not in explained()
