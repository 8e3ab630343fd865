"""What ``sluice lint`` refuses, the cluster refuses: each rule of the models has its case here, and
each case says who refuses it there. ``tests/cluster/test_crd.py`` asks a real API server."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from tests.unit.spec import parity
from tests.unit.spec.documents import POLICY, RELEASE
from tests.unit.spec.parity import CASES, Case
from tools.crd.cel import sentences
from tools.crd.exceptions import LEFT
from tools.crd.rules import RULES, Rule

import sluice.spec

FOLDER = Path(sluice.spec.__file__).parent
SKIPPED = ("compile", "pods", "slo", "words")
"""What depends on a data plane, warnings, a kind that is no custom resource, others' words."""
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in SKIPPED)
RETURNS = ("Iterator[Relation]", "Iterator[tuple[Source, Loc, str]]")
BY_CEL = [case for case in CASES if case.by == "cel"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_loader_refuses_the_document_with_these_words(case: Case) -> None:
    assert case.reason in case.reasons()


def test_cases_have_ids_of_their_own_and_a_known_judge() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    assert {case.by for case in CASES} == {"cel"} | {left.key for left in LEFT}


def test_a_document_without_a_fault_is_no_case() -> None:
    for base in (RELEASE, POLICY):
        case = Case(id="fine", document=base, reason="", by="cel", said="")
        assert case.reasons() == []


def refusals() -> Iterator[tuple[str, range]]:
    """Every statement of the models that refuses something between fields: file and lines."""
    for module in MODULES:
        path = FOLDER / f"{module}.py"
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef) or function.returns is None:
                continue
            if ast.unparse(function.returns) not in RETURNS:
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
                    yield str(path), range(node.lineno, (node.end_lineno or 0) + 1)


def lines_run(cases: tuple[Case, ...]) -> set[tuple[str, int]]:
    """Lines of the models that judging the cases runs."""
    found: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(str(FOLDER)):
            return None
        if event == "line":
            found.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for case in cases:
            case.reasons()
    finally:
        sys.settrace(before)
    return found


def unmet(cases: tuple[Case, ...]) -> list[str]:
    run = lines_run(cases)
    return [
        f"{Path(file).name}:{lines.start}"
        for file, lines in refusals()
        if not any((file, line) in run for line in lines)
    ]


def test_every_rule_of_the_models_has_a_case() -> None:
    # Rules between documents have theirs in tests/golden/spec-errors: no API server sees them.
    assert [place for place in unmet(CASES) if not place.startswith("links.py")] == []


def test_a_rule_without_a_case_is_found() -> None:
    without = tuple(case for case in CASES if case.id != "judged-twice")
    assert [place.partition(":")[0] for place in unmet(without) if "policy" in place] == [
        "policy.py"
    ]


def said_by(rule: Rule) -> list[re.Pattern[str]]:
    """What a rule can say, as patterns: a ``%s`` stands for any value."""
    found = [re.escape(words) for words in sentences(rule.as_object())]
    return [re.compile(words.replace("%%", "%").replace("%s", ".+")) for words in found]


@pytest.mark.parametrize("model", RULES)
def test_every_rule_in_cel_has_a_case_with_its_words(model: str) -> None:
    for rule in RULES[model]:
        patterns = said_by(rule)
        assert any(pattern.fullmatch(case.said) for case in BY_CEL for pattern in patterns), (
            f"{model}: {rule.message or rule.expression[-200:]}"
        )


def test_the_table_lists_cases_of_every_part() -> None:
    parts = [value for name, value in vars(parity).items() if name.isupper()]
    listed = {id(case) for part in parts if isinstance(part, tuple) for case in part}
    assert {id(case) for case in CASES} == listed
