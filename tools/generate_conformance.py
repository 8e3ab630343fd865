"""The matrix of the conformance scenarios, from the results that are kept beside the goldens."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "tests" / "golden" / "conformance"

_PAGE = """\
# What becomes of a release, in every situation

<!-- written by `make update` from what `make conformance` kept; do not edit -->

Every cell is a story with traffic, told by a test: what the release came to, after how many
seconds, how many users got a bad answer of the candidate (*harmed*), and how many requests got no
answer at all, or a bad one from a version that was well (*lost*). Where nothing is said of harmed
or lost, there was none. The stories are in `tests/conformance`; their names are made of table, row
and column: `situations/canary/dead`.

These tables are from the simulated run: the real loop, engine and checks on a platform and a
router in memory, 40 or 50 requests a second, a look at the counters every second, the same random
numbers each time. Many of the stories run with real processes and real Envoy too, on a laptop and
on a Kubernetes cluster; their results are at the end of the page.
"""

_TITLES = {
    "situations": (
        "Situations",
        "What becomes of a candidate that is good, or is not. Checks: 95% of answers below 500, "
        "90% within a second; at least 5 s of evidence.",
    ),
    "verbs": (
        "Verbs",
        "What each verb does at each moment of a canary with a gate and a pause. *Refused* changes "
        "nothing and says what to do instead. Seconds count from the verb.",
    ),
    "kills": (
        "Kills",
        "`kill -9` at each moment of the release of a good candidate. The lease is 5 s, and the "
        "controller that is away longer stays away for 10 s.",
    ),
    "edits": ("Edits in mid-release", "What changed files do to a pass that is on its way."),
}
_REAL = {
    "laptop": (
        "on a laptop",
        "Real processes, real Envoy and real load. Written by `make conformance-laptop`.",
    ),
    "cluster": (
        "on a cluster",
        "A kind cluster with a control plane and two workers, two routers, two controllers, pods, "
        "and load from locust in a pod of its own. Written by `make conformance-cluster`.",
    ),
}
"""Worlds beside the memory: their heading, and what they are."""
_BESIDE = """
The same stories, beside the simulated run. Seconds depend on the machine (this was a shared one
with 2 cores); looks that come late cost harm.
"""


def page() -> str:
    """The text of ``docs/reference/conformance.md``."""
    memory = _read("memory")
    real = {world: rows for world in _REAL if (rows := _read(world))}
    seen = "".join(
        f" {len(rows)} of them {_REAL[world][0]}: {_lost(rows)} lost."
        for world, rows in real.items()
    )
    parts = [_PAGE, f"\n{len(memory)} stories in memory: {_lost(memory)} requests lost.{seen}\n"]
    for group, (title, text) in _TITLES.items():
        parts.append(f"\n## {title}\n\n{text}\n\n")
        parts.extend(_tables(group, memory))
    if real:
        parts.append(f"\n## With real parts\n{_BESIDE}\n")
        parts += [f"- *{_REAL[world][0]}*: {_REAL[world][1]}\n" for world in real]
        parts.append("\n")
        parts.extend(_beside(memory, real))
    return "".join(parts)


def _lost(rows: Mapping[str, Mapping[str, Any]]) -> int:
    return sum(row["lost"] for row in rows.values())


def _read(world: str) -> dict[str, dict[str, Any]]:  # rows as JSON
    path = RESULTS / f"{world}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def _tables(group: str, rows: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    places = {
        tuple(name.split("/")[1:]): row for name, row in rows.items() if _group(name) == group
    }
    if all(len(place) == 1 for place in places):
        yield _line("what changes", "what becomes of it") + _line("---", "---")
        yield from (_line(_words(place[0]), _cell(row)) for place, row in places.items())
        return
    across = list(dict.fromkeys(place[0] for place in places))
    down = list(dict.fromkeys(place[1] for place in places))
    yield _line("", *map(_words, across)) + _line(*["---"] * (len(across) + 1))
    for second in down:
        cells = (_cell(places.get((first, second))) for first in across)
        yield _line(_words(second), *cells)


def _beside(
    memory: Mapping[str, Mapping[str, Any]],
    real: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> Iterable[str]:
    heads = [_REAL[world][0] for world in real]
    yield _line("story", "in memory", *heads) + _line(*["---"] * (len(heads) + 2))
    for name, row in memory.items():
        if any(name in rows for rows in real.values()):
            cells = (_cell(rows.get(name)) for rows in real.values())
            yield _line(f"`{name}`", _cell(row), *cells)


def _group(name: str) -> str:
    return name.split("/")[0]


def _words(part: str) -> str:
    return part.replace("-", " ")


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ""
    counts = [f"{row[key]} {key}" for key in ("harmed", "lost") if row[key]]
    if not row["seconds"] and not counts:
        return str(row["end"])
    return ", ".join([str(row["end"]), f"{row['seconds']:g} s", *counts])


def _line(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |\n"
