"""Faults on demand: each does what it says, and nothing when it is off."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.unit.model_api.support import client, infer_body, linear_bundle, parts

from sluice_model_api.errors import InjectedError
from sluice_model_api.faults import FaultInjector, Faults
from sluice_model_api.settings import SettingsError, load_settings

INFER = "/v2/models/tiny/infer"


async def never() -> None:
    await asyncio.Event().wait()


async def answers(path: Path, faults: Faults, requests: int = 1) -> list[httpx.Response]:
    made = parts(linear_bundle(path / "b"), faults=faults)
    async with client(made) as http:
        return [await http.post(INFER, json=infer_body()) for _ in range(requests)]


def value(response: httpx.Response) -> float:
    return float(response.json()["outputs"][0]["data"][0])


async def test_the_stated_share_of_requests_fails_with_500(tmp_path: Path) -> None:
    codes = Counter(
        response.status_code
        for response in await answers(tmp_path, Faults(error_rate=0.3, seed=1), 400)
    )
    assert set(codes) == {200, 500}
    assert 80 <= codes[500] <= 160


async def test_the_error_has_the_shape_of_every_error(tmp_path: Path) -> None:
    (response,) = await answers(tmp_path, Faults(error_rate=1))
    assert list(response.json()) == ["error"]


async def test_probes_and_metrics_stay_true_unless_asked(tmp_path: Path) -> None:
    for probes, expected in ((False, 200), (True, 500)):
        made = parts(linear_bundle(tmp_path / "b"), faults=Faults(error_rate=1, probes=probes))
        async with client(made) as http:
            for path in ("/v2/health/live", "/v2/health/ready", "/metrics"):
                assert (await http.get(path)).status_code == expected


@pytest.mark.parametrize(
    ("faults", "low", "high"),
    [
        pytest.param(Faults(), 1.0, 1.0, id="off"),
        pytest.param(Faults(wrong_offset=5), 6.0, 6.0, id="offset"),
        pytest.param(Faults(wrong_noise=2, seed=3), -9.0, 11.0, id="noise"),
    ],
)
async def test_predictions_are_wrong_by_what_was_asked(
    tmp_path: Path, faults: Faults, low: float, high: float
) -> None:
    (response,) = await answers(tmp_path, faults)
    assert low <= value(response) <= high
    assert (value(response) == 1.0) == (faults == Faults())


def test_a_stuck_model_repeats_its_first_prediction() -> None:
    injector = FaultInjector(Faults(wrong_stuck=True))
    first = injector.outputs({"y": np.array([[3.0], [4.0]], dtype=np.float32)})
    later = injector.outputs({"y": np.array([[9.0]], dtype=np.float32)})
    assert first["y"].tolist() == [[3.0], [3.0]]
    assert later["y"].tolist() == [[3.0]]


def test_wrong_predictions_keep_shape_type_and_texts() -> None:
    injector = FaultInjector(Faults(wrong_offset=300))
    changed = injector.outputs(
        {"n": np.array([250], dtype=np.uint8), "s": np.array(["a"], dtype=object)}
    )
    assert changed["n"].dtype == np.uint8
    assert changed["n"].tolist() == [255]
    assert changed["s"].tolist() == ["a"]


@pytest.mark.parametrize("sigma", [0.0, 0.5])
async def test_latency_is_added_fixed_or_lognormal(
    monkeypatch: pytest.MonkeyPatch, sigma: float
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("sluice_model_api.faults.asyncio.sleep", sleep)
    injector = FaultInjector(Faults(latency_ms=80, latency_sigma=sigma, seed=4))
    for _ in range(500):
        await injector.before(never)
    assert np.median(slept) == pytest.approx(0.08, rel=0.1)
    assert (len(set(slept)) == 1) == (sigma == 0)


async def test_latency_can_hit_a_share_of_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("sluice_model_api.faults.asyncio.sleep", sleep)
    injector = FaultInjector(Faults(latency_ms=80, latency_rate=0.25, seed=4))
    for _ in range(400):
        await injector.before(never)
    assert 60 <= len(slept) <= 140


async def test_a_hang_ends_when_the_client_gives_up() -> None:
    gone = asyncio.Event()

    async def wait() -> None:
        await gone.wait()

    waiting = asyncio.create_task(FaultInjector(Faults(hang_rate=1)).before(wait))
    await asyncio.sleep(0)
    assert not waiting.done()
    gone.set()
    with pytest.raises(InjectedError, match="hang"):
        await waiting


async def test_a_crash_ends_the_process_with_its_own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr("sluice_model_api.faults.os._exit", codes.append)
    await FaultInjector(Faults(crash_rate=1)).before(never)
    assert codes == [70]


async def test_memory_grows_per_request_and_is_let_go_with_the_fault() -> None:
    injector = FaultInjector(Faults(leak_bytes=1000))
    for _ in range(3):
        await injector.before(never)
    assert injector.leaked_bytes == 3000
    injector.set(Faults())
    assert injector.leaked_bytes == 0


async def test_faults_are_set_and_taken_back_at_run_time(tmp_path: Path) -> None:
    made = parts(linear_bundle(tmp_path / "b"), admin_token="t")  # noqa: S106  # a test
    guard = {"authorization": "Bearer t"}
    async with client(made) as http:
        changed = await http.put("/admin/faults", json={"wrong_offset": 2}, headers=guard)
        assert changed.json()["wrong_offset"] == 2
        assert value(await http.post(INFER, json=infer_body())) == 3.0
        assert (await http.get("/admin/faults", headers=guard)).json() == changed.json()
        # Replaced, not merged: what is not named is off.
        await http.put("/admin/faults", json={}, headers=guard)
        assert value(await http.post(INFER, json=infer_body())) == 1.0


def test_faults_and_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_API_FAULT_ERROR_RATE", "0.2")
    monkeypatch.setenv("PORT", "9001")
    settings, faults = load_settings(bundle="b")
    assert (settings.port, settings.bundle, faults.error_rate) == (9001, "b", 0.2)
    monkeypatch.setenv("MODEL_API_PORT", "9002")
    assert load_settings()[0].port == 9002


def test_every_variable_that_is_wrong_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_API_FAULT_ERROR_RATE", "2")
    monkeypatch.setenv("MODEL_API_PORT", "eighty")
    monkeypatch.setenv("MODEL_API_DRAIN_DELAY_S", "-1")
    with pytest.raises(SettingsError) as error:
        load_settings()
    for name in ("MODEL_API_FAULT_ERROR_RATE", "MODEL_API_PORT", "MODEL_API_DRAIN_DELAY_S"):
        assert name in str(error.value)


def test_the_variable_that_kubernetes_sets_beside_a_service_is_no_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MODEL_API_PORT", "tcp://10.96.0.7:80")
    assert load_settings()[0].port == 8080
    monkeypatch.setenv("PORT", "9003")
    assert load_settings()[0].port == 9003
