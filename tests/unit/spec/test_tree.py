import json
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sluice.spec import tree as tree_module
from sluice.spec.tree import MAX_BYTES, MAX_DEPTH, MAX_VALUES, Unreadable, decode, read

printable = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co"]), max_size=20)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(-1e300, 1e300).map(lambda x: x % 1e18)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | printable,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(printable, below, max_size=4),
    max_leaves=12,
)


def one(text: str) -> Any:
    (tree,) = read(text)
    assert tree.faults == []
    return tree.value


@given(st.dictionaries(printable, values, min_size=1, max_size=4))
def test_json_is_read_as_json_reads_it(value: dict[str, Any]) -> None:
    assert one(json.dumps(value, ensure_ascii=False)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("-1", -1), ("+1", 1), ("0", 0), ("0x1F", 31), ("0o17", 15), ("1.5", 1.5),
     (".5", 0.5), ("1e3", 1000.0), ("true", True), ("False", False), ("null", None),
     ("~", None), ("", None), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("1.2.3", "1.2.3"),
     ("'1'", "1"), ("1s", "1s"), ("!!str 1", "1")],
)  # fmt: skip
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    assert one(f"key: {text}") == {"key": value}


@pytest.mark.parametrize("text", ["yes", "NO", "on", "Off", "y", "n", "010", "-07", "0b1", "1_000"])
def test_words_that_yaml_readers_disagree_about_are_refused(text: str) -> None:
    (tree,) = read(f"a: 1\nkey: {text}\n")
    (fault,) = tree.faults
    assert (fault.line, fault.loc) == (2, ("key",))
    assert one(f"key: '{text}'") == {"key": text}


@pytest.mark.parametrize("text", [".inf", "-.INF", ".nan", "1e999", "9" * 30, "0x" + "f" * 20])
def test_numbers_that_json_cannot_carry_are_refused(text: str) -> None:
    (tree,) = read(f"key: {text}")
    assert "no number that JSON can carry" in tree.faults[0].reason


def test_a_key_given_twice_is_told_with_both_lines() -> None:
    (tree,) = read("a: 1\nb: 2\na: 3\n")
    assert tree.value == {"a": 1, "b": 2}
    assert tree.faults[0].line == 3
    assert "first in line 1" in tree.faults[0].reason


def test_lines_are_those_of_keys_and_items() -> None:
    (tree,) = read("a:\n  b:\n  - 1\n  - c: 2\n")
    assert tree.lines.of(("a", "b")) == 2
    assert tree.lines.of(("a", "b", 1, "c")) == 4
    assert tree.lines.of(("a", "missing", "deeper")) == 1


def test_an_alias_is_its_anchors_value_and_has_its_own_line() -> None:
    (tree,) = read("a: &x {k: 1}\nb: *x\n")
    assert tree.value == {"a": {"k": 1}, "b": {"k": 1}}
    assert tree.lines.of(("b",)) == 2
    assert tree.lines.of(("b", "k")) == 1


def test_aliases_cannot_explode() -> None:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40)]
    with pytest.raises(Unreadable, match="aliases counted in full"):
        list(read("\n".join(lines)))


def test_an_anchor_within_itself_is_refused() -> None:
    (tree,) = read("a: &x [*x]")
    assert "has no anchor before it" in tree.faults[0].reason


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_depth_is_bounded(opening: str) -> None:
    with pytest.raises(Unreadable):
        list(read(opening * 5_000))


def test_values_at_the_limits_are_read() -> None:
    assert one("a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1))
    assert len(one("- 1\n" * (MAX_VALUES - 1))) == MAX_VALUES - 1
    with pytest.raises(Unreadable, match="values"):
        list(read("- 1\n" * MAX_VALUES))


def test_a_large_file_is_refused_before_it_is_read() -> None:
    with pytest.raises(Unreadable, match="larger than 1 MiB"):
        decode(b"a" * (MAX_BYTES + 1))


def test_a_byte_order_mark_is_fine_and_other_encodings_are_not() -> None:
    assert decode(b"\xef\xbb\xbfa: 1") == "a: 1"
    with pytest.raises(Unreadable) as caught:
        decode("a: 1\nb: é".encode("latin-1"))
    assert caught.value.fault.line == 2


@pytest.mark.parametrize("loader", [yaml.CSafeLoader, yaml.SafeLoader])
def test_both_readers_of_pyyaml_read_and_refuse_the_same(
    loader: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_module, "_LOADER", loader)
    (tree,) = read("a: &x [1, 'y']\nb: *x\nc: no\n")
    assert tree.value == {"a": [1, "y"], "b": [1, "y"], "c": "no"}
    assert [fault.line for fault in tree.faults] == [3]
    for text, line in (("é: 1\na: \x01", 2), ("a:\n\tb: 1", 2), ("a: 1\n b: 2", 2)):
        with pytest.raises(Unreadable) as caught:
            list(read(text))
        assert caught.value.fault.line == line


@given(st.text(st.sampled_from("ab:-&*!?|>'\"{}[], \n\t#%@`~01.\u2028\x00\x85é<"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(Unreadable):
        assert all(tree.lines.line > 0 for tree in read(text))
