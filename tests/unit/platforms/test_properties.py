"""What holds for every input, not only for those somebody thought of."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.errors import SpecError
from sluice.nouns import RevisionId, Workload
from sluice.platforms.local import FileJournal, parse_template
from sluice.platforms.local.process_spec import render
from sluice.platforms.memory import MemoryPlatform
from sluice.testing.clock import VirtualClock
from sluice.testing.journal import MemoryJournal

FIELDS = [
    "metadata", "spec", "containers", "command", "args", "env", "name", "value", "valueFrom",
    "fieldRef", "fieldPath", "ports", "containerPort", "port", "readinessProbe", "livenessProbe",
    "httpGet", "tcpSocket", "exec", "path", "httpHeaders", "lifecycle", "preStop", "sleep",
    "seconds", "volumes", "image", "periodSeconds", "terminationGracePeriodSeconds", "zzz",
]  # fmt: skip
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 70_000),
    st.floats(allow_nan=True),
    st.sampled_from(["http", "", "metadata.name", "$(PORT)", "Always"]),
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4)
    ),
    max_leaves=8,
)
CONTAINERS = st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6)


@given(container=CONTAINERS, pod=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3))
def test_every_template_is_either_understood_or_refused_with_paths(
    container: dict[str, Any], pod: dict[str, Any]
) -> None:
    value = {"spec": {"containers": [{"command": ["serve"], **container}], **pod}}
    try:
        spec, _ = parse_template(value)
    except SpecError as error:
        paths = [fault.path for fault in error.faults]
    else:
        ports = {port.key: 20_000 + i for i, port in enumerate(spec.ports)}
        argv, env = render(spec, name="taxi-v1-0", host="127.0.0.1", ports=ports)
        assert argv
        assert env["PORT"] == str(ports[spec.traffic])
        return
    assert paths
    assert all(path.startswith("spec.template") for path in paths)


REVISIONS = st.sampled_from(["v1", "v2"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("scale"), REVISIONS, st.integers(0, 4)),
        st.tuples(st.just("wait"), st.just(""), st.integers(0, 3)),
        st.tuples(st.just("crash"), REVISIONS, st.just(0)),
    ),
    max_size=15,
)


@given(steps=STEPS)
def test_the_memory_platform_always_ends_at_the_size_last_asked_for(
    steps: list[tuple[str, str, int]],
) -> None:
    async def story() -> None:
        clock = VirtualClock(0)
        platform = MemoryPlatform(clock, ready_after_s=1.0, drain_s=1.5)
        asked = {"v1": 0, "v2": 0}
        for kind, revision, number in steps:
            if kind == "scale":
                work = Workload(release="taxi", revision=RevisionId(revision), template={})
                await platform.scale(work, number)
                asked[revision] = number
            elif kind == "wait":
                await clock.advance(number)
            else:
                platform.crash(RevisionId(revision))
            for seen in await platform.observe("taxi"):
                names = [endpoint.name for endpoint in seen.ready]
                assert len(set(names)) == len(names) <= seen.desired == asked[seen.revision]
                assert seen.running >= len(names)
                assert seen.ready_since_ms.keys() == set(names)
        await clock.advance(10)
        found = {seen.revision: seen for seen in await platform.observe("taxi")}
        sizes = {revision: size for revision, size in asked.items() if size}
        assert {name: len(seen.ready) for name, seen in found.items()} == sizes
        assert {name: seen.running for name, seen in found.items()} == sizes

    asyncio.run(story())


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["checkpoint", "append", "forget", "tear"]),
        st.sampled_from(["taxi", "../bus", "a b"]),
        st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4), max_size=3),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(operations=OPERATIONS)
def test_the_journal_in_files_keeps_what_the_one_in_memory_keeps(
    operations: list[tuple[str, str, dict[str, Any]]],
) -> None:
    async def story(folder: Path) -> None:
        files, memory = FileJournal(folder), MemoryJournal()
        for kind, release, value in operations:
            if kind == "tear":
                for log in folder.glob("*.jsonl"):
                    with log.open("a") as torn:
                        torn.write('{"half')
                continue
            for journal in (files, memory):
                if kind == "forget":
                    await journal.forget(release)
                else:
                    await getattr(journal, kind)(release, value)
        assert await files.load() == await memory.load()
        for release in ("taxi", "../bus", "a b"):
            assert await files.entries(release) == await memory.entries(release)
        files.close()

    with tempfile.TemporaryDirectory() as name:
        asyncio.run(story(Path(name) / "journal"))
