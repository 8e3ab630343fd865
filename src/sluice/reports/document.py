"""The one document: what the supervisor serves, ``-o json|yaml`` prints and scripts read.

Numbers without an end are written as the strings ``Infinity`` and ``NaN``, because JSON has no
word for them and ``null`` would read back as unknown.
"""

from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter
from pydantic_core import from_json, to_json

T = TypeVar("T")


def dump_json(value: object, *, indent: int | None = None) -> bytes:
    """Any of our frozen values, or plain data that holds them, as JSON."""
    return to_json(value, indent=indent, inf_nan_mode="strings")


def dump(value: object) -> Any:  # JSON has no narrower type
    """The same as plain data: dicts, lists, strings, numbers."""
    return from_json(dump_json(value))


def dump_yaml(value: object) -> str:
    """The same document as YAML, keys in the order of the values."""
    import yaml  # only who asks for YAML waits for it

    data = dump(value)
    # PyYAML writes these line ends of Unicode as they are and reads them back as spaces
    plain = not any(end.encode() in dump_json(value) for end in ("\x85", "\u2028", "\u2029"))
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=plain, width=100)


def parse(kind: type[T], data: bytes | str) -> T:
    """Read a document back.

    Raises:
        ValueError: it is not a document of this kind (pydantic says where).
    """
    reader: TypeAdapter[T] = _reader(cast(Hashable, kind))
    return reader.validate_json(data)


@cache
def _reader(kind: Any) -> TypeAdapter[Any]:
    # building one takes longer than reading a hundred answers with it
    return TypeAdapter(kind)
