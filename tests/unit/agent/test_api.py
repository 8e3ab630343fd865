"""The API's answers: one shape for everything that goes wrong."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.unit.agent.fakes import RecordingSink, fragment

from sluice.agent.api import build_api
from sluice.agent.callers import Callers
from sluice.agent.captures import Captures
from sluice.agent.core import Agent
from sluice.agent.sampler import Sampler
from sluice.agent.users import BadUsers
from sluice.dataplanes.codec import encode_fragment
from sluice.dataplanes.envoyadmin import EnvoyAdmin

AUTH = {"authorization": "Bearer secret"}


@pytest.fixture
async def api(agent: Agent, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with EnvoyAdmin(tmp_path / "no-envoy.sock") as admin:
        sampler = Sampler(
            name="router-0",
            admin=admin,
            ledger_path=tmp_path / "ledger.json",
            fragments=lambda: agent.fragments,
            users=BadUsers(tmp_path / "bad-answers.log", dict),
        )
        captures = Captures(
            router="router-0", routing_of=lambda _: None, now_s=lambda: 0.0, window_s=10.0
        )
        callers = Callers(tmp_path / "epoch", lambda: 0.0)
        app = build_api(agent, sampler, admin, captures, callers, token="secret")  # noqa: S106
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
            yield client


async def put(api: httpx.AsyncClient, body: bytes, release: str = "taxi") -> httpx.Response:
    return await api.put(f"/v1/releases/{release}", content=body, headers=AUTH)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/v1/releases/taxi"),
        ("DELETE", "/v1/releases/taxi"),
        ("POST", "/v1/leases"),
        ("GET", "/v1/acks"),
        ("GET", "/v1/counters"),
        ("GET", "/v1/releases/taxi/pairs"),
        ("POST", "/v1/drain"),
    ],
)
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}])
async def test_nothing_is_done_without_the_token(
    api: httpx.AsyncClient, agent: Agent, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = await api.request(method, path, headers=headers, content=encode_fragment(fragment()))
    check_problem(answer, 401)
    assert agent.fragments == {}


def check_problem(answer: httpx.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, object] = answer.json()
    assert document["status"] == status
    assert set(document) <= {"type", "title", "status", "detail", "faults"}
    assert document["detail"]
    return document


async def test_a_fragment_is_answered_with_its_acknowledgement(api: httpx.AsyncClient) -> None:
    answer = await put(api, encode_fragment(fragment(generation=3)))
    assert answer.status_code == 200
    assert answer.json()["generation"] == 3
    acks = (await api.get("/v1/acks", headers=AUTH)).json()
    assert [ack["release"] for ack in acks["acks"]] == ["taxi"]


async def test_a_release_may_have_a_namespace(api: httpx.AsyncClient) -> None:
    assert (await put(api, encode_fragment(fragment("ml/taxi")), "ml/taxi")).status_code == 200
    assert (await api.delete("/v1/releases/ml/taxi", headers=AUTH)).status_code == 204


@pytest.mark.parametrize(
    "body",
    [b"", b"nonsense", b"[]", b'{"routing": {}}', b"\xff\xfe"],
    ids=["empty", "no-json", "list", "nothing-in-it", "no-text"],
)
async def test_garbage_is_refused_with_its_faults(api: httpx.AsyncClient, body: bytes) -> None:
    assert check_problem(await put(api, body), 422)["faults"]


async def test_a_body_beyond_the_limit_is_refused(api: httpx.AsyncClient) -> None:
    check_problem(await put(api, b" " * (5 << 20)), 422)


async def test_a_fragment_of_another_release_than_the_path_is_refused(
    api: httpx.AsyncClient,
) -> None:
    document = check_problem(await put(api, encode_fragment(fragment("bikes"))), 422)
    assert "bikes" in str(document["detail"])


async def test_an_older_generation_is_a_conflict(api: httpx.AsyncClient) -> None:
    await put(api, encode_fragment(fragment(generation=2)))
    check_problem(await put(api, encode_fragment(fragment(generation=1))), 409)


async def test_what_envoy_refuses_is_not_a_conflict(
    api: httpx.AsyncClient, sink: RecordingSink
) -> None:
    sink.refuse_host = "taxi.test"
    document = check_problem(await put(api, encode_fragment(fragment())), 422)
    assert "Envoy refused" in str(document["detail"])


async def test_without_envoy_the_caller_is_told_to_come_again(
    api: httpx.AsyncClient, sink: RecordingSink
) -> None:
    sink.away = True
    answer = await put(api, encode_fragment(fragment()))
    check_problem(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1
    check_problem(await api.get("/v1/counters", headers=AUTH), 503)
    check_problem(await api.get("/readyz"), 503)


async def test_unknown_paths_and_methods_have_the_same_shape(api: httpx.AsyncClient) -> None:
    check_problem(await api.get("/v2/nothing", headers=AUTH), 404)
    check_problem(await api.post("/v1/acks", headers=AUTH), 405)


@pytest.mark.parametrize("query", ["wait_s=x", "wait_s=-1", "cap_s=1e9", "wait_s=nan"])
async def test_a_drain_wants_sensible_times(api: httpx.AsyncClient, query: str) -> None:
    check_problem(await api.post(f"/v1/drain?{query}", headers=AUTH), 422)


async def test_metrics_and_liveness_need_no_token_and_no_envoy(api: httpx.AsyncClient) -> None:
    await put(api, encode_fragment(fragment(generation=9)))
    text = (await api.get("/metrics")).text
    assert 'sluice_routing_generation{release="taxi"} 9.0' in text
    assert 'sluice_weight_ratio{release="taxi",revision="v2"} 0.2' in text
    assert (await api.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("PUT", "/v1/releases/taxi", encode_fragment(fragment())),
        ("DELETE", "/v1/releases/taxi", b""),
        ("POST", "/v1/leases", b'{"releases": ["taxi"]}'),
    ],
)
async def test_a_controller_whose_time_is_over_changes_nothing(
    api: httpx.AsyncClient, agent: Agent, method: str, path: str, content: bytes
) -> None:
    newer = encode_fragment(fragment(generation=7))
    await api.put("/v1/releases/taxi", content=newer, headers={**AUTH, "x-sluice-epoch": "4"})
    late = {**AUTH, "x-sluice-epoch": "3"}
    document = check_problem(await api.request(method, path, content=content, headers=late), 409)
    assert "epoch 3 is over" in str(document["detail"])
    assert agent.fragments["taxi"].routing.generation == 7
    assert (await api.get("/v1/acks", headers=late)).status_code == 200


async def test_an_epoch_that_is_no_number_is_refused(api: httpx.AsyncClient) -> None:
    headers = {**AUTH, "x-sluice-epoch": "-1"}
    check_problem(await api.post("/v1/leases", content=b"{}", headers=headers), 422)
