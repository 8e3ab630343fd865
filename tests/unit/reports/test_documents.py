import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.reports.samples import (
    ABORTED,
    BAD,
    BEGAN,
    CHANGED,
    COMPARISON,
    ENTERED,
    HEALTHY,
    POLLS,
    PROMOTED,
    RUNNING,
    STARTED,
    TRAFFIC,
    TURNED_BACK,
    V1,
    V2,
    poll,
)

from sluice.nouns import Evidence
from sluice.reports import document
from sluice.reports.html import release_report
from sluice.reports.junit import JUnitCase, junit
from sluice.reports.model import Decision, PeerHarm, ReleaseStatus
from sluice.reports.passes import passes
from sluice.reports.traffic import traffic_of

HOSTILE = "<script>alert('x')</script>&\"'"


class Page(HTMLParser):
    """Tags and words of a page; void elements apart, every tag must be closed."""

    VOID = frozenset({"meta"})
    SHAPES = frozenset({"line", "path"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(v) for k, v in attributes if k in ("href", "src", "xlink:href")]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        assert tag in self.SHAPES
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


@settings(deadline=None)
@given(st.from_type(Evidence))
def test_any_evidence_reads_back_as_it_was(evidence: Evidence) -> None:
    text = document.dump_json(evidence)
    assert document.dump_json(document.parse(Evidence, text)) == text


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.from_type(ReleaseStatus))
def test_any_status_reads_back_as_it_was(status: ReleaseStatus) -> None:
    text = document.dump_json(status)
    assert document.dump_json(document.parse(ReleaseStatus, text)) == text
    assert yaml.safe_load(document.dump_yaml(status)) == document.dump(status)


def test_numbers_without_an_end_are_words_and_read_back() -> None:
    endless = RUNNING.verdict.evidence[1] if RUNNING.verdict else None
    assert endless is not None
    assert document.dump(endless)["ratio_high"] == "Infinity"
    assert document.parse(Evidence, document.dump_json(endless)) == endless


def test_document_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="name"):
        document.parse(ReleaseStatus, b'{"nam": "taxi"}')


def test_page_tells_outcome_headline_and_every_decision() -> None:
    decisions = (STARTED, ENTERED, ABORTED)
    page = Page(release_report(TURNED_BACK, decisions, TRAFFIC, COMPARISON, verdicts=(BAD,)))
    for words in ("turned back", "3,250", "Argo Rollouts", "CheckFailed", "Errors per second"):
        assert words in page.words
    assert page.tags.count("li") >= len(decisions)
    assert page.tags.count("svg") >= 4


def test_page_without_traffic_and_comparison_has_neither() -> None:
    page = Page(release_report(HEALTHY, (STARTED, ENTERED, CHANGED, PROMOTED)))
    assert "promoted" in page.words
    assert "Requests per second" not in page.words
    assert "other tools" not in page.words


def test_page_is_about_the_newest_pass() -> None:
    old = replace(STARTED, pass_number=1, at_ms=1, message="long ago")
    page = Page(release_report(TURNED_BACK, (old, STARTED, ENTERED, ABORTED)))
    assert "long ago" not in page.words


def test_page_needs_nothing_from_anywhere() -> None:
    text = release_report(TURNED_BACK, (STARTED, ENTERED, ABORTED), TRAFFIC, COMPARISON)
    page = Page(text)
    assert page.links == []
    assert {"script", "link", "img", "iframe"}.isdisjoint(page.tags)
    assert "url(" not in text
    assert "@import" not in text


def test_nothing_from_outside_becomes_markup() -> None:
    decision = replace(
        ABORTED,
        message=HOSTILE,
        reason=HOSTILE,
        by=HOSTILE,
        verdict=replace(BAD, reason=HOSTILE, checks=(replace(BAD.checks[0], rule=HOSTILE),)),
    )
    status = replace(
        TURNED_BACK,
        name=HOSTILE,
        revisions=(replace(TURNED_BACK.revisions[0], label=HOSTILE),),
    )
    peers = replace(COMPARISON, peers=(PeerHarm(name=HOSTILE, harmed=1, note=HOSTILE),))
    text = release_report(status, (STARTED, decision), TRAFFIC, peers)
    assert "script" not in Page(text).tags
    assert text.count("<script>") == 0
    assert Page(text).words.count(HOSTILE) >= 5


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("Promoted", "Aborted", "Held", "WeightChanged")),
            st.integers(0, 10**9),
            st.integers(0, 10_000),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_page_can_be_drawn_of_any_journey(steps: list[tuple[str, int, int]]) -> None:
    decisions = [
        Decision(at_ms=at, kind=kind, reason="r", message="m", pass_number=1, from_bp=0, to_bp=bp)
        for kind, at, bp in steps
    ]
    text = release_report(TURNED_BACK, decisions)
    Page(text)
    assert not re.search(r"\bnan\b|\binf\b", text)


def test_page_of_hours_stays_small() -> None:
    long = tuple(
        replace(TRAFFIC[0], at_ms=STARTED.at_ms + second * 1_000) for second in range(20_000)
    )
    assert len(release_report(TURNED_BACK, (STARTED, ABORTED), long)) < 60_000


def test_report_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one decision"):
        release_report(RUNNING, ())


def test_junit_counts_failures_and_errors_apart() -> None:
    journey = passes((STARTED, ENTERED, ABORTED))[0]
    cases = [
        JUnitCase(
            release="taxi",
            revision="v2",
            result=result,
            message=f"{HOSTILE}\x00",
            seconds=2.5,
            journey=journey if result == "aborted" else None,
        )
        for result in ("promoted", "aborted", "held", "time-out")
    ]
    suite = ElementTree.fromstring(junit(cases))  # noqa: S314  # our own text
    assert {k: suite.attrib[k] for k in ("tests", "failures", "errors")} == {
        "tests": "4",
        "failures": "1",
        "errors": "2",
    }
    failure = suite.find(".//failure")
    assert failure is not None
    assert failure.attrib["message"] == f"{HOSTILE}�"
    assert "slo and regression on availability" in suite.findtext(".//system-out", "")


@settings(deadline=None)
@given(st.text())
def test_junit_of_any_text_is_xml(text: str) -> None:
    case = JUnitCase(release=text, revision=text, result="held", message=text, seconds=0)
    ElementTree.fromstring(junit([case]))  # noqa: S314  # our own text


def test_traffic_between_polls_is_spread_over_their_seconds_and_nothing_is_lost() -> None:
    points = [(p.at_ms - BEGAN, p.revision, p.requests, p.errors) for p in traffic_of(POLLS)]
    assert points == [
        (8_000, V1, 45, 0),
        (8_000, V2, 5, 1),
        (9_000, V1, 45, 0),
        (10_000, V1, 45, 0),
        (11_000, V1, 45, 1),
        (9_000, V2, 5, 1),
        (10_000, V2, 5, 1),
        (11_000, V2, 6, 1),
    ]


def test_router_that_counts_anew_is_left_out_of_that_interval() -> None:
    again = poll(13, (V1, 7, 0), epoch="e2")
    backwards = poll(13, (V1, 7, 0), (V2, 30, 4))
    assert traffic_of((POLLS[-1], again)) == ()
    assert [p.revision for p in traffic_of((POLLS[-1], backwards))] == [V2]
