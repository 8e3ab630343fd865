"""Random inputs to the parsers of requests: answered or refused, never broken."""

import gc
import random
import tracemalloc

import numpy as np
import pytest
from benchmarks.fuzzing import inference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sluice_model_api.errors import RequestError
from sluice_model_api.tensors import DTYPES, from_bytes, from_values, to_bytes
from sluice_model_api.wire.compression import compress, decompress

NUMBERS = [name for name in DTYPES if name != "BYTES"]


def test_a_few_thousand_random_requests_are_answered_or_refused() -> None:
    for seed in range(3_000):
        inference.check(random.Random(seed))


def test_random_requests_leave_nothing_in_memory() -> None:
    for seed in range(500):
        inference.check(random.Random(seed))
    tracemalloc.start()
    try:
        held = []
        for first in (1_000, 2_000, 3_000):
            for seed in range(first, first + 700):
                inference.check(random.Random(seed))
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    # Seven hundred requests that each kept one tensor would be some 100 kB more.
    assert held[2] - held[1] < 30_000, held


def test_the_fuzz_target_notices_a_parser_that_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise TypeError

    monkeypatch.setattr(inference, "parse_infer", broken)
    monkeypatch.setattr(inference, "_predict", inference._infer)
    monkeypatch.setattr(inference, "_compressed", inference._infer)
    with pytest.raises(TypeError):
        inference.check(random.Random(1))


def test_random_requests_are_not_all_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = []
    real = inference.dump_infer
    monkeypatch.setattr(inference, "dump_infer", lambda *a: answered.append(1) or real(*a))
    for seed in range(1_000):
        inference.check(random.Random(seed))
    assert len(answered) > 50


@settings(max_examples=150, deadline=None)
@given(data=st.data(), datatype=st.sampled_from(NUMBERS))
def test_a_binary_tensor_comes_back_as_it_was(data: st.DataObject, datatype: str) -> None:
    shape = data.draw(arrays.array_shapes(max_dims=3, max_side=4))
    array = data.draw(arrays.arrays(DTYPES[datatype], shape))
    again = from_bytes(to_bytes(array, datatype), shape, datatype, "x")
    np.testing.assert_array_equal(again, array)


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_strings_come_back_as_they_were(texts: list[str]) -> None:
    array = np.array(texts, dtype=object)
    raw = to_bytes(array, "BYTES")
    assert from_bytes(raw, [len(texts)], "BYTES", "x").tolist() == texts


@settings(max_examples=150, deadline=None)
@given(data=st.data(), datatype=st.sampled_from([n for n in NUMBERS if n != "BOOL"]))
def test_json_numbers_fit_exactly_or_are_refused(data: st.DataObject, datatype: str) -> None:
    dtype = DTYPES[datatype]
    if dtype.kind == "f":
        value = data.draw(st.floats(allow_nan=False, allow_infinity=False))
        fits = abs(value) <= float(np.finfo(dtype).max)
    else:
        value = data.draw(st.integers(-(2**65), 2**65))
        fits = np.iinfo(dtype).min <= value <= np.iinfo(dtype).max
    if not fits:
        with pytest.raises(RequestError, match="does not fit"):
            from_values([value], [1], datatype, "x")
        return
    found = from_values([value], [1], datatype, "x")
    assert found.dtype == dtype
    assert found[0] == dtype.type(value)


@settings(max_examples=100, deadline=None)
@given(plain=st.binary(max_size=4_000), encoding=st.sampled_from(["gzip", "deflate"]))
def test_a_compressed_body_comes_back_and_never_past_the_limit(plain: bytes, encoding: str) -> None:
    body = compress(plain, encoding)
    assert decompress(body, encoding, limit=4_000) == plain
    if plain:
        with pytest.raises(RequestError) as error:
            decompress(body, encoding, limit=len(plain) - 1)
        assert error.value.status == 413
