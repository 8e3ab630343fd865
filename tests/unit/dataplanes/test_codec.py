import random

import orjson
import pytest
from benchmarks.fuzzing import routing as fuzzing
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.dataplanes.codec import decode_fragment, decode_routing, routing_record
from sluice.errors import SpecError


def document() -> dict[str, dict[str, object]]:
    value: dict[str, dict[str, object]] = orjson.loads(orjson.dumps(fuzzing.SEED))
    return value


def faults(value: object) -> dict[str, str]:
    with pytest.raises(SpecError) as error:
        decode_fragment(orjson.dumps(value))
    return {fault.path: fault.reason for fault in error.value.faults}


def test_every_fault_is_named_at_once() -> None:
    value = document()
    value["routing"] |= {"generation": "7", "release": "Taxi", "surprise": 1}
    assert set(faults(value)) == {"routing.generation", "routing.release", "routing.surprise"}


def test_a_revision_without_endpoints_entry_is_a_fault() -> None:
    value = document()
    del value["endpoints"]["v2"]
    assert set(faults(value)) == {"endpoints.v2"}


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("hosts", ["taxi.ml", "TAXI.ml"]),
        ("hosts", ["a b"]),
        ("hosts", []),
        ("sticky", {"salt": "x"}),
        ("sticky", {"header": "x-user", "salt": r"a\1"}),
        ("lease_ms", 0),
        ("timeout_ms", 1.5),
        ("arms", [{"revision": "v1", "weight_bp": 9_999}]),
        ("arms", [{"revision": "v1", "weight_bp": True}]),
    ],
)
def test_what_envoy_could_misread_is_refused(field: str, wrong: object) -> None:
    value = document()
    value["routing"][field] = wrong
    assert faults(value)


@pytest.mark.parametrize("host", ["model.ml.svc", "300.1.1.1", "", "1.2.3.4 "])
def test_an_endpoint_needs_an_address(host: str) -> None:
    value = document()
    value["endpoints"]["v1"] = [{"name": "a", "host": host, "port": 80}]
    assert faults(value)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_by_name(data: bytes) -> None:
    fuzzing.fuzz_routing(data)


def test_mutated_fragments_are_refused_or_kept_whole() -> None:
    for seed in range(500):
        fuzzing.check(random.Random(seed))


def test_one_fuzzed_input_leaves_the_next_as_it_would_be_alone() -> None:
    before = repr(fuzzing.VALUES)
    rng = random.Random(34)
    for _ in range(50):
        value = document()
        for _ in range(30):
            fuzzing.mutate(value, rng)
    assert repr(fuzzing.VALUES) == before


def test_a_routing_alone_goes_through_a_record_unchanged() -> None:
    routing = decode_fragment(orjson.dumps(document())).routing
    record = orjson.loads(orjson.dumps(routing_record(routing)))
    assert decode_routing(record) == routing


@pytest.mark.parametrize("record", [None, "text", {}, {"release": "taxi", "generation": 0}])
def test_a_record_that_is_no_routing_is_refused(record: object) -> None:
    with pytest.raises(SpecError):
        decode_routing(record)
