"""What every runner of programs promises."""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from sluice.hooks.jobs import LocalJobs
from sluice.hooks.memory import MemoryJobs
from sluice.nouns import Job, JobEnd
from sluice.ports import CheckJob


@dataclass(kw_only=True)
class Rig:
    """A runner, and programs that end as their names say."""

    jobs: CheckJob
    passes: tuple[str, ...]
    fails: tuple[str, ...]
    """Ends with 3 and says why."""
    hangs: tuple[str, ...]

    def job(self, command: tuple[str, ...], timeout_ms: int = 30_000) -> Job:
        return Job(id="taxi/1/smoke", command=command, env={}, timeout_ms=timeout_ms)


def _python(source: str) -> tuple[str, ...]:
    return (sys.executable, "-c", source)


@pytest.fixture(params=["memory", "local"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    if request.param == "memory":
        ends = {"passes": JobEnd(code=0, said="fine"), "fails": JobEnd(code=3, said="the reason")}
        return Rig(jobs=MemoryJobs(ends), passes=("passes",), fails=("fails",), hangs=("hangs",))
    return Rig(
        jobs=LocalJobs(tmp_path),
        passes=_python("print('fine')"),
        fails=_python("import sys; print('the reason'); sys.exit(3)"),
        hangs=_python("import time; time.sleep(600)"),
    )


async def test_exit_code_and_last_words_come_back(rig: Rig) -> None:
    assert await rig.jobs.run(rig.job(rig.passes)) == JobEnd(code=0, said="fine")
    assert await rig.jobs.run(rig.job(rig.fails)) == JobEnd(code=3, said="the reason")


async def test_program_over_time_has_no_exit_code(rig: Rig) -> None:
    end = await rig.jobs.run(rig.job(rig.hangs, timeout_ms=300))
    assert end.code is None
    assert "did not end within 0.3 s" in end.said


async def test_no_command_is_said(rig: Rig) -> None:
    end = await rig.jobs.run(rig.job(()))
    assert end == JobEnd(code=None, said="there is no command")


async def test_cancelled_program_does_not_go_on(rig: Rig) -> None:
    running = asyncio.ensure_future(rig.jobs.run(rig.job(rig.hangs)))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            await running
    assert not isinstance(rig.jobs, MemoryJobs) or rig.jobs.running == []


async def test_programs_run_beside_each_other(rig: Rig) -> None:
    hanging = asyncio.ensure_future(rig.jobs.run(rig.job(rig.hangs)))
    assert (await rig.jobs.run(rig.job(rig.passes))).code == 0
    assert not hanging.done()
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
