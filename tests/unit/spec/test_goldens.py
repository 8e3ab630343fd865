import re
from pathlib import Path

import pytest
from tools import goldens

GOLDEN = Path(__file__).parents[2] / "golden"
PLANS = sorted((GOLDEN / "plan").glob("*.yaml"))
BAD = sorted((GOLDEN / "spec-errors").glob("*.yaml"))
JARGON = re.compile(r"Input should|Field required|Extra inputs|pydantic|Value error|\bdict\b|None")


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_documents_compile_to_the_golden_plan(path: Path) -> None:
    assert goldens.plan(path) == path.with_suffix(".json").read_text()


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_documents_are_refused_with_the_golden_faults(path: Path) -> None:
    assert goldens.faults(path) == path.with_suffix(".txt").read_text()


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_faults_have_a_place_and_no_words_of_a_library(path: Path) -> None:
    for line in goldens.faults(path).splitlines():
        assert re.match(r"[-\w]+\.yaml(:\d+)?: [^ ]+( |\w|\")*.*: ", line), line
        assert not JARGON.search(line), line


def test_no_golden_output_is_left_without_its_input() -> None:
    outputs = [*GOLDEN.glob("plan/*.json"), *GOLDEN.glob("spec-errors/*.txt")]
    assert all(path.with_suffix(".yaml") in {*PLANS, *BAD} for path in outputs)
    assert len(outputs) == len(PLANS) + len(BAD)


def test_an_accepted_document_fails_as_a_golden_of_faults() -> None:
    with pytest.raises(AssertionError, match="was accepted"):
        goldens.faults(PLANS[0])
