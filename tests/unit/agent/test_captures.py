"""Captured answers become pairs: in any order, once, in bounded memory."""

import random
from dataclasses import dataclass, field, replace

import httpx
import pytest
from benchmarks.fuzzing import pairs as fuzzing
from tests.contract.dataplane.test_pairs_contract import V1, V2, shadowed

from sluice.agent.captures import _OVERHEAD_BYTES, Captures
from sluice.agent.intake import Intake
from sluice.dataplanes.names import ClusterName, Use
from sluice.errors import SpecError
from sluice.metrics.pairs_codec import decode_pairs, encode_pairs
from sluice.nouns import Answer, Routing

STABLE = ClusterName("taxi", V1, Use.CAPTURED)
COPY = ClusterName("taxi", V2, Use.MIRROR)
AGAIN = ClusterName("taxi", V1, Use.MIRROR)
KIB = 1 << 10


def answer(body: bytes = b"1", status: int = 200) -> Answer:
    return Answer(status=status, duration_us=5, media_type="application/json", body=body)


@dataclass
class Desk:
    """Captures with a clock and a routing that the test moves."""

    routing: Routing | None = field(default_factory=lambda: shadowed("taxi"))
    now_s: float = 0.0
    memory_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        self.captures = Captures(
            router="r0",
            routing_of=lambda name: self.routing if name == "taxi" else None,
            now_s=lambda: self.now_s,
            window_s=10.0,
            settle_s=2.0,
            memory_bytes=self.memory_bytes,
        )
        self.cursor: str | None = self.captures.read("taxi", None).cursors["r0"]

    def pair(self, request_id: str, body: bytes = b"1") -> None:
        self.captures.take(STABLE, request_id, answer(body))
        self.captures.take(COPY, request_id, answer(body))

    def read(self) -> list[str]:
        batch = self.captures.read("taxi", self.cursor)
        self.cursor = batch.cursors["r0"]
        self.missed, self.alone, self.more = batch.missed, batch.alone, batch.more
        return [pair.request_id for pair in batch.pairs]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("order", [(STABLE, COPY), (COPY, STABLE)], ids=["stable", "copy"])
def test_answers_pair_in_any_order_and_only_once(
    desk: Desk, order: tuple[ClusterName, ClusterName]
) -> None:
    for cluster in order:
        assert desk.read() == []
        desk.captures.take(cluster, "a", answer())
    assert desk.read() == ["a"]
    assert desk.read() == []


def test_an_answer_that_stays_alone_is_counted_and_forgotten(desk: Desk) -> None:
    desk.captures.take(STABLE, "a", answer())
    desk.captures.take(COPY, "b", answer())
    desk.now_s = 10.0
    assert (desk.read(), desk.alone) == ([], 1)
    desk.captures.take(COPY, "a", answer())
    assert desk.read() == []


def test_a_pair_waits_for_the_second_answer_of_stable(desk: Desk) -> None:
    desk.routing = shadowed("taxi", noise_bp=1_000)
    desk.pair("with")
    desk.captures.take(AGAIN, "with", answer(b"2"))
    desk.pair("without")
    batch = desk.captures.read("taxi", desk.cursor)
    assert [pair.again for pair in batch.pairs] == [answer(b"2")]
    assert desk.read() == ["with"]
    desk.now_s = 2.0
    assert desk.read() == ["without"]


def test_pairs_beyond_the_memory_are_missed_and_said_so() -> None:
    desk = Desk(memory_bytes=100 * KIB)
    for number in range(100):
        desk.pair(str(number), b"x" * KIB)
        assert desk.captures.size_bytes <= 100 * KIB
    kept = desk.read()
    assert kept[-1] == "99"
    assert desk.missed == 100 - len(kept) > 0


def test_answers_that_wait_are_bounded_too() -> None:
    desk = Desk(memory_bytes=10 * (KIB + _OVERHEAD_BYTES))
    for number in range(100):
        desk.captures.take(STABLE, str(number), answer(b"x" * KIB))
    assert desk.captures.size_bytes <= desk.memory_bytes
    desk.captures.take(COPY, "0", answer())
    desk.captures.take(COPY, "99", answer())
    assert desk.read() == ["99"]


def test_a_long_page_is_read_in_parts(desk: Desk) -> None:
    for number in range(501):
        desk.pair(str(number))
    assert len(desk.read()) == 500
    assert desk.more
    assert desk.read() == ["500"]
    assert not desk.more


def test_the_cursor_of_an_earlier_agent_begins_with_this_ones_first_pair(desk: Desk) -> None:
    later = Desk()
    later.pair("a")
    later.cursor = desk.cursor
    assert later.read() == ["a"]


def test_without_a_cursor_only_what_comes_now_is_read(desk: Desk) -> None:
    desk.pair("before")
    desk.cursor = None
    assert desk.read() == []
    desk.pair("after")
    assert desk.read() == ["after"]


@pytest.mark.parametrize("cursor", ["", "x", ":1", "a:-1", "a:b"])
def test_a_cursor_that_no_agent_made_is_refused(desk: Desk, cursor: str) -> None:
    with pytest.raises(SpecError, match="is no cursor"):
        desk.captures.read("taxi", cursor)


def test_what_captures_no_more_is_forgotten(desk: Desk) -> None:
    desk.pair("a")
    desk.captures.take(STABLE, "b", answer())
    desk.routing = None
    assert desk.read() == []
    assert desk.captures.size_bytes == 0
    desk.pair("c")
    assert desk.captures.size_bytes == 0


async def test_the_socket_takes_what_envoy_says_and_refuses_what_makes_no_sense(
    desk: Desk,
) -> None:
    transport = httpx.ASGITransport(Intake(desk.captures))
    said = {"x-cluster": str(STABLE), "x-id": "a", "x-status": "200", "x-us": "12", "x-cut": "0"}
    async with httpx.AsyncClient(transport=transport, base_url="http://agent") as envoy:
        for change in ({}, {"x-cluster": str(COPY), "x-status": "503"}):
            sent = await envoy.post("/capture", headers=said | change, content=b"\x00\xff")
            assert sent.status_code == 204
        for wrong in ({"x-cluster": "nonsense"}, {"x-id": ""}, {"x-status": "ok"}):
            sent = await envoy.post("/capture", headers=said | wrong, content=b"1")
            assert sent.status_code == 400
    (pair,) = desk.captures.read("taxi", desk.cursor).pairs
    assert (pair.primary.body, pair.primary.duration_us) == (b"\x00\xff", 12)
    assert pair.shadow.status == 503


def test_pairs_are_the_same_after_the_wire(desk: Desk) -> None:
    desk.routing = shadowed("taxi", noise_bp=1_000)
    desk.captures.take(STABLE, "a", answer(b"\x00\xff"))
    desk.captures.take(COPY, "a", replace(answer(b""), cut=True, json_bytes=7))
    desk.captures.take(AGAIN, "a", answer())
    batch = desk.captures.read("taxi", desk.cursor)
    assert len(batch.pairs) == 1
    assert decode_pairs(encode_pairs("r0", batch)) == batch


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        (b"", "document"),
        (b'{"router": "r", "cursor": "a:1"}', "pairs"),
        (b'{"router": "r", "cursor": "a:1", "pairs": [], "extra": 1}', "extra"),
        (b'{"router": "r", "cursor": "a:1", "pairs": [], "missed": -1}', "missed"),
        (
            b'{"router": "r", "cursor": "a:1", "pairs": [{"request_id": "a", "stable": "v1",'
            b' "candidate": "v2", "primary": {"status": 200, "duration_us": 1, "body": "?"},'
            b' "shadow": {"status": 200, "duration_us": 1}}]}',
            "base64",
        ),
    ],
)
def test_what_is_no_page_of_pairs_is_refused(wrong: bytes, where: str) -> None:
    with pytest.raises(SpecError, match=where):
        decode_pairs(wrong)


def test_mutated_pages_and_answers_are_refused_or_kept_whole() -> None:
    for seed in range(500):
        fuzzing.check(random.Random(seed))
