"""What every runner of programs promises."""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.cluster import PYTHON_IMAGE, python_image, reach

from sluice.hooks.jobs import LocalJobs
from sluice.hooks.kube_jobs import JobPlace, KubeJobs
from sluice.hooks.memory import MemoryJobs
from sluice.kube.kinds import NAMESPACE
from sluice.nouns import Job, JobEnd
from sluice.ports import CheckJob
from sluice.testing.kube import MemoryApi, MemoryJobRuns

__all__ = ["python_image"]  # a fixture


@dataclass(kw_only=True)
class Rig:
    """A runner, and programs that end as their names say."""

    jobs: CheckJob
    passes: tuple[str, ...]
    fails: tuple[str, ...]
    """Ends with 3 and says why."""
    hangs: tuple[str, ...]

    def job(self, command: tuple[str, ...], timeout_ms: int = 60_000, name: str = "smoke") -> Job:
        return Job(id=f"ml/taxi/1/{name}", command=command, env={}, timeout_ms=timeout_ms)


ENDS = {"passes": JobEnd(code=0, said="fine"), "fails": JobEnd(code=3, said="the reason")}


@pytest.fixture(
    params=["memory", "local", "kube", pytest.param("cluster", marks=pytest.mark.cluster)]
)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    if request.param in ("memory", "kube"):
        jobs: CheckJob = MemoryJobs(ENDS)
        if request.param == "kube":
            api = MemoryApi()
            MemoryJobRuns(api, ENDS)
            place = JobPlace(namespace="ml", image=PYTHON_IMAGE)
            jobs = KubeJobs(api.client(), place=lambda _: place, poll_s=0.01)
        yield Rig(jobs=jobs, passes=("passes",), fails=("fails",), hangs=("hangs",))
        return
    python = sys.executable
    async with AsyncExitStack() as stack:
        if request.param == "cluster":
            python, kube = "python3", await reach()
            request.getfixturevalue("python_image")
            stack.push_async_callback(kube.close)
            namespace = f"kube-{uuid.uuid4().hex[:8]}"
            await kube.create(NAMESPACE.new(namespace))
            stack.push_async_callback(kube.delete, NAMESPACE, namespace, None)
            container = {"imagePullPolicy": "IfNotPresent"}
            place = JobPlace(namespace=namespace, image=PYTHON_IMAGE, container=container)
            jobs = KubeJobs(kube, place=lambda _: place, poll_s=0.2)
        else:
            jobs = LocalJobs(tmp_path)
        yield Rig(
            jobs=jobs,
            passes=(python, "-c", "print('fine')"),
            fails=(python, "-c", "import sys; print('the reason'); sys.exit(3)"),
            hangs=(python, "-c", "import time; time.sleep(600)"),
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
    hanging = asyncio.ensure_future(rig.jobs.run(rig.job(rig.hangs, name="load")))
    assert (await rig.jobs.run(rig.job(rig.passes))).code == 0
    assert not hanging.done()
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)
