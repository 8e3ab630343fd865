"""The one document: what the supervisor serves, ``-o json|yaml`` prints and scripts read.

Numbers without an end are written as the strings ``Infinity`` and ``NaN``, because JSON has no
word for them and ``null`` would read back as unknown.
"""

from typing import Any, TypeVar

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

    return yaml.safe_dump(dump(value), sort_keys=False, allow_unicode=True, width=100)


def parse(kind: type[T], data: bytes | str) -> T:
    """Read a document back.

    Raises:
        ValueError: it is not a document of this kind (pydantic says where).
    """
    return TypeAdapter(kind).validate_json(data)
