"""Programs as Jobs of a cluster."""

import asyncio
from typing import Any

import pytest

from sluice.hooks.kube_jobs import JobPlace, KubeJobs, job_name, job_object, place_like
from sluice.kube.kinds import JOB, POD
from sluice.nouns import Job, JobEnd
from sluice.testing.kube import MemoryApi, MemoryJobRuns

ID = "ml/taxi/3/smoke"
PLACE = JobPlace(namespace="ml", image="model:2", owner={"kind": "Release", "uid": "u"})


def job(name: str = "passes", timeout_ms: int = 5_000) -> Job:
    return Job(id=ID, command=(name,), env={"B": "2", "A": "1"}, timeout_ms=timeout_ms)


@pytest.fixture
def api() -> MemoryApi:
    return MemoryApi()


def jobs(api: MemoryApi, place: JobPlace | None = PLACE, **ends: JobEnd) -> KubeJobs:
    MemoryJobRuns(api, {"passes": JobEnd(code=0, said="fine")} | ends)
    return KubeJobs(api.client(), place=lambda _: place, poll_s=0.01)


def test_job_tries_once_and_no_longer_than_it_may() -> None:
    made = job_object(job(timeout_ms=1_500), "check-x", PLACE)
    spec = made["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 2)
    pod = spec["template"]["spec"]
    assert (pod["restartPolicy"], pod["automountServiceAccountToken"]) == ("Never", False)
    assert pod["containers"] == [
        {
            "name": "check",
            "image": "model:2",
            "command": ["passes"],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        }
    ]
    assert made["metadata"]["ownerReferences"] == [PLACE.owner]


def test_place_is_like_the_candidates() -> None:
    container = {"name": "m", "image": "model:2", "securityContext": {"runAsUser": 1}, "args": []}
    spec = {"containers": [container], "serviceAccountName": "m", "volumes": []}
    place = place_like({"spec": spec}, namespace="ml")
    assert place.image == "model:2"
    assert place.pod == {"serviceAccountName": "m"}
    assert place.container == {"securityContext": {"runAsUser": 1}}
    assert place_like({"spec": spec}, namespace="ml", image="k6:1").image == "k6:1"


@pytest.mark.parametrize("job_id", [ID, "a" * 300, "Ünï/x", "ml/taxi/3/" + "g" * 80])
def test_name_is_the_same_for_the_same_id_and_fits(job_id: str) -> None:
    name = job_name(job_id)
    assert name == job_name(job_id)
    assert name != job_name(job_id + "x")
    assert len(name) <= 63
    assert all(c.isalnum() or c == "-" for c in name)
    assert name.isascii()


async def test_nothing_is_left_after_the_end(api: MemoryApi) -> None:
    assert await jobs(api).run(job()) == JobEnd(code=0, said="fine")
    client = api.client()
    assert await client.list(JOB) == []
    assert await client.list(POD) == []


async def test_end_of_one_that_was_begun_before_a_restart_is_taken(api: MemoryApi) -> None:
    before = job_object(job("fails"), job_name(ID), PLACE)
    runs = jobs(api, fails=JobEnd(code=3, said="the reason"))
    await api.client().create(before)
    posts = sum(call.startswith("POST") for call in api.calls)
    assert await runs.run(job("passes")) == JobEnd(code=3, said="the reason")
    assert sum(call.startswith("POST") for call in api.calls) == posts + 1, "refused: it is there"


async def test_cancelled_job_is_deleted(api: MemoryApi) -> None:
    running = asyncio.ensure_future(jobs(api).run(job("hangs")))
    await asyncio.sleep(0.05)
    assert len(await api.client().list(JOB)) == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await api.client().list(JOB) == []


async def test_program_that_is_not_there_is_no_exit_code(api: MemoryApi) -> None:
    end = await jobs(api, nobody=JobEnd(code=None, said="no such file")).run(job("nobody"))
    assert end == JobEnd(code=None, said="cannot be started: no such file")


@pytest.mark.parametrize("place", [None, JobPlace(namespace="ml", image="")])
async def test_no_image_is_said(api: MemoryApi, place: JobPlace | None) -> None:
    assert await jobs(api, place).run(job()) == JobEnd(code=None, said="it has no image to run in")


@pytest.mark.parametrize(
    ("status", "message"),
    [(403, "exceeded quota: small"), (422, "spec.template: Invalid"), (503, "not now")],
)
async def test_job_that_is_refused_is_said(api: MemoryApi, status: int, message: str) -> None:
    runs = jobs(api)
    api.refuse("POST", JOB, status, message)
    end = await runs.run(job())
    assert end.code is None
    assert message in end.said


async def test_server_that_is_away_for_a_while_costs_no_check(api: MemoryApi) -> None:
    runs = jobs(api)
    api.refuse("GET", JOB, 503, "not now", times=5)
    assert (await runs.run(job())).code == 0


async def test_job_that_somebody_deleted_is_said(api: MemoryApi) -> None:
    running = asyncio.ensure_future(jobs(api).run(job("hangs")))
    await asyncio.sleep(0.05)
    await api.client().delete(JOB, job_name(ID), "ml")
    end: Any = await running
    assert end.code is None
    assert "somebody deleted Job ml/check-" in end.said


@pytest.mark.parametrize(
    ("status", "times", "said"),
    [
        pytest.param(500, 2, "fine", id="busy-kubelet"),
        pytest.param(500, 3, "its output cannot be read: logs of pods ml/", id="away"),
        pytest.param(403, 1, "its output cannot be read: logs of pods ml/", id="forbidden"),
    ],
)
async def test_end_counts_though_its_output_cannot_be_read(
    api: MemoryApi, status: int, times: int, said: str
) -> None:
    runs = jobs(api)
    api.refuse_logs(status, "unexpected EOF", times=times)
    end = await runs.run(job())
    assert end.code == 0
    assert end.said.startswith(said)
