"""JSON in a status, as one string."""

import base64
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.errors import SpecError
from sluice.kube.packed import LONGEST_BYTES, pack, unpack

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_what_was_packed_comes_back(value: Any) -> None:
    assert unpack(pack(value)) == value


def test_order_of_keys_does_not_matter() -> None:
    assert pack({"a": 1, "b": 2}) == pack({"b": 2, "a": 1})


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("%%%", id="no-base64"),
        pytest.param(base64.b64encode(b"plain").decode(), id="no-zlib"),
        pytest.param(base64.b64encode(zlib.compress(b"{")).decode(), id="no-json"),
        pytest.param(pack({"a": "b" * 1000})[:16], id="cut-off"),
        pytest.param(
            base64.b64encode(zlib.compress(b" " * (LONGEST_BYTES + 1))).decode(), id="bomb"
        ),
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="is not base64"):
        unpack(text)
