"""What a page points to is there."""

import re
from pathlib import Path

import pytest
from tests.docs.pages import ROOT, anchors, inline_code, pages, prose, slug

LINK = re.compile(r"\]\(([^)\s]+)\)")
FOLDERS = "src|services|tools|tests|benchmarks|docs|examples|schemas|charts|k8s"
FILE = re.compile(rf"(?:{FOLDERS})/[\w./-]+")


def names(page: Path) -> str:
    return str(page.relative_to(ROOT))


def broken(page: Path) -> list[str]:
    """Links of a page into the repository that lead nowhere."""
    found = []
    for target in LINK.findall(prose(page)):
        if target.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        missing = not place.exists() or (anchor and anchor not in anchors(place))
        found += [target] if missing else []
    return found


@pytest.mark.parametrize("page", pages(), ids=names)
def test_every_link_leads_to_a_file_and_its_heading(page: Path) -> None:
    assert broken(page) == []


@pytest.mark.parametrize("page", pages(), ids=names)
def test_every_named_file_exists(page: Path) -> None:
    named = [text for text in inline_code(page) if FILE.fullmatch(text)]
    assert [text for text in named if not (ROOT / text).exists()] == []


def test_every_page_is_linked_from_somewhere() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in pages()
        for target in LINK.findall(prose(page))
    }
    alone = [names(page) for page in pages() if page.resolve() not in linked]
    assert alone == ["README.md"]


def test_a_broken_link_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A title\n[a](gone.md) [b](page.md#a-title) [c](#b-title) [d](https://x.org)\n"
    )
    assert broken(page) == ["gone.md", "#b-title"]


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        pytest.param("Sticky users", "sticky-users", id="words"),
        pytest.param("2. Start a `router`", "2-start-a-router", id="number-and-code"),
        pytest.param("Why not a threshold?", "why-not-a-threshold", id="mark"),
    ],
)
def test_anchors_are_made_as_markdown_makes_them(heading: str, anchor: str) -> None:
    assert slug(heading) == anchor
