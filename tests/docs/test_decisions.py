"""Every decision has its sections, and the tests that it names exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from tests.docs.pages import ROOT
from tools.generate_index import decisions

SECTIONS = ("Status", "Context", "Decision", "Rejected", "Consequences", "Held by")
LONGEST_LINES = 80
"""One page."""


@cache
def written() -> tuple[frozenset[str], frozenset[str]]:
    """Names of all test functions and classes, and of all files with tests."""
    names: set[str] = set()
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(node.name)
    return frozenset(names), frozenset(path.name for path in files)


def sections(text: str) -> list[str]:
    """Section names in the order of the page, written as heading or in bold."""
    marks = "|".join(SECTIONS)
    return re.findall(rf"^(?:\*\*|## )({marks})\b", text, re.MULTILINE)


def held_by(text: str) -> list[str]:
    """What a page says it is held by: test names, files of tests."""
    return re.findall(r"`([^`]+)`", text.partition("Held by")[2])


def missing(named: str) -> bool:
    """Whether a named test does not exist; commands and figures are not tests."""
    names, files = written()
    path, _, function = named.rpartition("::")
    function = function.partition("[")[0]
    if path:
        return missing(path) or function not in names
    if named.startswith("tests/"):
        return not (ROOT / named).exists()
    if function.endswith(".py"):
        return function not in files
    return function.startswith("test_") and function not in names


def by_name(page: Path) -> str:
    return page.stem


@pytest.mark.parametrize("page", decisions(), ids=by_name)
def test_decision_has_every_section_in_order_on_one_page(page: Path) -> None:
    text = page.read_text()
    assert sections(text) == list(SECTIONS)
    assert len(text.splitlines()) <= LONGEST_LINES


@pytest.mark.parametrize("page", decisions(), ids=by_name)
def test_decision_is_held_by_tests_that_exist(page: Path) -> None:
    named = held_by(page.read_text())
    assert any("test" in name for name in named)
    assert [name for name in named if missing(name)] == []


def test_numbers_of_decisions_are_their_own() -> None:
    numbers = [page.name[:4] for page in decisions()]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(
    "named",
    [
        pytest.param("test_that_nobody_wrote", id="function"),
        pytest.param("test_that_nobody_wrote[case]", id="case"),
        pytest.param("test_nobody.py", id="file"),
        pytest.param("tests/unit/nowhere", id="folder"),
        pytest.param("tests/docs/test_decisions.py::test_nothing", id="function-in-a-file"),
    ],
)
def test_a_decision_without_its_test_would_be_seen(named: str) -> None:
    assert missing(named)
