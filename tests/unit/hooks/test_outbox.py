"""News out: what is sent, to whom, and what happens when nobody takes it."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.unit.hooks.servers import receiver

from sluice.hooks import outbox as module
from sluice.hooks.messages import cloudevent, slack
from sluice.hooks.outbox import Outbox
from sluice.nouns import Notice, Notify
from sluice.testing.clock import VirtualClock


def notice(number: int = 1, **changes: object) -> Notice:
    fields: dict[str, object] = {
        "id": f"taxi-3-{number}-Promoted",
        "release": "taxi",
        "at_ms": 1_800_000_000_123,
        "kind": "Promoted",
        "reason": "Promoted",
        "message": "v2 is stable",
        "by": "",
        "data": {"release": "taxi", "kind": "Promoted", "number": number},
    }
    return Notice(**{**fields, **changes})  # type: ignore[arg-type]  # fields of Notice


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest_asyncio.fixture
async def clock() -> VirtualClock:
    return VirtualClock()


@pytest_asyncio.fixture
async def outbox(clock: VirtualClock, tmp_path: Path) -> AsyncIterator[Outbox]:
    made = Outbox(clock, kept=tmp_path / "outbox.json")
    yield made
    await made.close()


async def until(condition: object, clock: VirtualClock | None = None) -> None:
    """Real requests under way: let them come to their end, time going by where a clock is given."""
    async with asyncio.timeout(10):
        while not condition():  # type: ignore[operator]  # a callable
            if clock is not None:
                await clock.advance(1.0)
            await asyncio.sleep(0.005)


# --- what is sent ---


def test_cloudevent_is_structured_json() -> None:
    sent = json.loads(cloudevent(notice(kind="RungEntered")))
    assert sent == {
        "specversion": "1.0",
        "id": "taxi-3-1-Promoted",
        "source": "/sluice/releases",
        "type": "dev.sluice.release.rung-entered",
        "subject": "taxi",
        "time": "2027-01-15T08:00:00.123Z",
        "datacontenttype": "application/json",
        "data": {"release": "taxi", "kind": "Promoted", "number": 1},
    }


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        pytest.param({}, "taxi Promoted: v2 is stable", id="plain"),
        pytest.param({"by": "ada"}, "taxi Promoted: v2 is stable (by ada)", id="by"),
        pytest.param(
            {"by": "ada", "message": "v2 is stable by ada"},
            "taxi Promoted: v2 is stable by ada",
            id="by-once",
        ),
        pytest.param(
            {"message": "p99 < 300ms & <!channel>\nnext"},
            "taxi Promoted: p99 &lt; 300ms &amp; &lt;!channel&gt; next",
            id="escaped",
        ),
        pytest.param({"message": ""}, "taxi Promoted: Promoted", id="reason"),
    ],
)
def test_chat_gets_one_line_without_markup(changes: dict[str, object], text: str) -> None:
    assert json.loads(slack(notice(**changes))) == {"text": text}


async def test_webhook_gets_signed_cloudevents_in_order(
    outbox: Outbox, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEWS_KEY", "not base64")
    async with receiver((202, b"")) as server:
        to = Notify(kind="webhook", url=f"{server.url}/in", secret_env="NEWS_KEY")  # noqa: S106
        for number in range(3):
            outbox.tell(notice(number), [to])
        got = await server.wait(3)
    assert [json.loads(item.body)["data"]["number"] for item in got] == [0, 1, 2]
    first = got[0]
    assert first.headers["content-type"] == "application/cloudevents+json"
    assert first.headers["webhook-id"] == "taxi-3-0-Promoted"
    stamp = first.headers["webhook-timestamp"]
    assert int(stamp) == clock.now_ms() // 1000
    signed = f"taxi-3-0-Promoted.{stamp}.".encode() + first.body
    expected = hmac.new(b"not base64", signed, hashlib.sha256).digest()
    assert first.headers["webhook-signature"] == "v1," + base64.b64encode(expected).decode()
    assert outbox.problems([to]) == ()


async def test_chat_is_reached_by_an_address_from_the_environment_and_spared_the_ramp(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with receiver() as server:
        monkeypatch.setenv("CHAT", f"{server.url}/services/secret")
        to = Notify(kind="slack", url_env="CHAT")
        outbox.tell(notice(1, kind="WeightChanged"), [to])
        outbox.tell(notice(2), [to])
        (got,) = await server.wait(1)
        await asyncio.sleep(0)
        assert json.loads(got.body) == {"text": "taxi Promoted: v2 is stable"}
        assert "webhook-signature" not in got.headers


# --- when nobody takes it ---


async def test_receiver_in_trouble_gets_it_later_and_holds_up_no_other(
    outbox: Outbox, clock: VirtualClock
) -> None:
    async with receiver((503, b""), (0, b""), (200, b"")) as busy, receiver() as well:
        first = Notify(kind="webhook", url=busy.url)
        second = Notify(kind="webhook", url=well.url)
        outbox.tell(notice(1), [first, second])
        await well.wait(1)
        await until(lambda: outbox.problems([first]))
        (said,) = outbox.problems([first])
        assert "answered 503 (1 waiting)" in said
        assert outbox.problems([second]) == ()
        await until(lambda: len(busy.got) == 3, clock)
        await until(lambda: not outbox.problems([first]))
        assert len({item.headers.get("webhook-id", item.body) for item in busy.got}) == 1


async def test_what_is_refused_again_and_again_is_dropped_counted_and_lets_the_next_through(
    outbox: Outbox, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TRIES", 3)
    async with receiver((400, b""), (400, b""), (400, b""), (200, b"")) as server:
        to = Notify(kind="webhook", url=server.url)
        outbox.tell(notice(1), [to])
        outbox.tell(notice(2), [to])
        await until(lambda: len(server.got) == 4, clock)
        assert json.loads(server.got[3].body)["data"]["number"] == 2
        await until(lambda: "dropped" in "".join(outbox.problems([to])))
        assert outbox.problems([to])[-1].endswith("1 dropped")


async def test_queue_is_bounded_and_what_falls_out_is_counted(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST", 5)
    to = Notify(kind="webhook", url="http://127.0.0.1:9")
    for number in range(8):
        outbox.tell(notice(number), [to])
    assert "3 dropped" in outbox.problems([to])[-1]


async def test_telling_waits_for_nobody(outbox: Outbox) -> None:
    async with receiver((-1, b"")) as server:
        to = Notify(kind="webhook", url=server.url)
        outbox.tell(notice(1), [to])
        await server.wait(1)
        outbox.tell(notice(2), [to])
        assert outbox.problems([to]) == ()


@pytest.mark.parametrize(
    ("to", "said"),
    [
        pytest.param(Notify(kind="slack", url_env="NO_CHAT"), "NO_CHAT with the address", id="url"),
        pytest.param(
            Notify(kind="webhook", url="http://127.0.0.1:9", secret_env="NO_KEY"),  # noqa: S106
            "NO_KEY with the signing key",
            id="key",
        ),
        pytest.param(Notify(kind="webhook", url="nonsense"), "1 waiting", id="address"),
    ],
)
async def test_setting_that_is_missing_is_named_as_a_problem(
    outbox: Outbox, to: Notify, said: str
) -> None:
    outbox.tell(notice(1), [to])
    await until(lambda: outbox.problems([to]))
    assert said in outbox.problems([to])[0]


async def test_address_may_hold_a_secret_and_is_not_shown(outbox: Outbox) -> None:
    to = Notify(kind="slack", url="http://127.0.0.1:9/services/T0/secret")
    outbox.tell(notice(1), [to])
    await until(lambda: outbox.problems([to]))
    assert "secret" not in outbox.problems([to])[0]


# --- restarts ---


async def test_what_waits_is_sent_by_the_next_controller_under_the_same_id(
    clock: VirtualClock, tmp_path: Path
) -> None:
    kept = tmp_path / "outbox.json"
    async with receiver((503, b""), (200, b"")) as server:
        to = Notify(kind="webhook", url=server.url)
        first = Outbox(clock, kept=kept)
        first.tell(notice(1), [to])
        first.tell(notice(2), [to])
        await until(lambda: first.problems([to]))
        await first.close()
        second = Outbox(clock, kept=kept)
        second.load()
        got = await server.wait(3)
        assert [json.loads(item.body)["data"]["number"] for item in got] == [1, 1, 2]
        await second.close()
    third = Outbox(clock, kept=kept)
    third.load()
    assert third.problems([to]) == ()
    assert json.loads(kept.read_text()) == []
    await third.close()


@pytest.mark.parametrize("content", ["", "{", '[{"no": "list"}]'])
async def test_file_that_cannot_be_read_costs_only_what_was_in_it(
    clock: VirtualClock, tmp_path: Path, content: str
) -> None:
    kept = tmp_path / "outbox.json"
    kept.write_text(content)
    async with receiver() as server:
        again = Outbox(clock, kept=kept)
        again.load()
        again.tell(notice(1), [Notify(kind="webhook", url=server.url)])
        await server.wait(1)
        await again.close()


async def test_disk_that_takes_nothing_is_said_and_news_still_go_out(
    clock: VirtualClock, tmp_path: Path
) -> None:
    async with receiver((503, b""), (200, b"")) as server:
        to = Notify(kind="webhook", url=server.url)
        full = Outbox(clock, kept=tmp_path / "nowhere" / "outbox.json")
        full.tell(notice(1), [to])
        await until(lambda: full.problems([to]))
        assert "cannot be kept in outbox.json" in full.problems([to])[-1]
        await until(lambda: len(server.got) == 2, clock)
        await full.close()
