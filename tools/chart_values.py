"""A chart's values: meaning and schema of each, read from the comments in its ``values.yaml``."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TEXT = {"type": "string"}
NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "maxLength": 253}
DEFS: Mapping[str, Any] = {
    "open": {"type": "object"},
    "quantity": {"type": ["string", "number"]},
    "duration": {"type": "string", "pattern": "^([0-9]+(ms|s|m|h|d|w))+$"},
    "objects": {"type": "array", "items": {"type": "object"}},
    "strings": {"type": "array", "items": TEXT},
    "names": {"type": "array", "items": NAME, "uniqueItems": True},
    "dnsName": {"type": "string", "pattern": "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$"},
    "stringMap": {"type": "object", "additionalProperties": TEXT},
    "amount": {
        "anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": "^[0-9]{1,3}%$"},
        ]
    },
    "settings": {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"},
        "additionalProperties": {"type": ["string", "number", "boolean"]},
    },
    "env": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name"],
            "additionalProperties": False,
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "value": TEXT,
                "valueFrom": {"type": "object"},
            },
        },
    },
    "resources": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            key: {
                "type": "object",
                "additionalProperties": {"type": ["string", "number"]},
            }
            for key in ("requests", "limits")
        },
    },
    "tolerations": {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "key": TEXT,
                "operator": {"enum": ["Exists", "Equal"]},
                "value": TEXT,
                "effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
                "tolerationSeconds": {"type": "integer"},
            },
        },
    },
}
"""Schemas that several values share; a comment names one by ``# @ {$ref: name}``."""
_TYPES = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One key of ``values.yaml``."""

    path: str
    """Dotted place, such as ``router.service.type``."""
    meaning: str
    """The comment above it."""
    default: Any
    schema: Mapping[str, Any] | None
    """What the comment says of the schema; None: its children say it, or its default does."""
    children: tuple["Value", ...]


class ValuesError(ValueError):
    """A key of values.yaml has no comment, or one that is no schema; says where."""


def read(path: Path) -> tuple[Value, ...]:
    """Every value of a chart, in order.

    Raises:
        ValuesError: a key without a meaning.
    """
    text = path.read_text()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    values = tuple(_values(root, "", text.splitlines()))
    bare = [value.path for value in flat(values) if not value.meaning]
    if bare:
        raise ValuesError(f"{path.name}: without a comment above: {', '.join(bare)}")
    return values


def flat(values: tuple[Value, ...]) -> Iterator[Value]:
    """Values and everything below them."""
    for value in values:
        yield value
        yield from flat(value.children)


def schema(
    values: tuple[Value, ...], *, title: str, definitions: Mapping[str, Any]
) -> dict[str, Any]:
    """The chart's ``values.schema.json``: nothing is allowed that is not in values.yaml.

    Args:
        values: From ``read``.
        title: Title of the schema.
        definitions: What a comment may refer to.

    Raises:
        ValuesError: a comment refers to something else, or says too little; says where.
    """
    for value in flat(values):
        name = (value.schema or {}).get("$ref")
        if name is not None and name not in definitions:
            raise ValuesError(f"{value.path}: there is no {name} to refer to")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "$defs": dict(definitions),
        **_object(values),
        # what Helm itself hands to subcharts
        "properties": {**_object(values)["properties"], "global": {"type": "object"}},
    }


def _object(values: tuple[Value, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {value.path.rpartition(".")[2]: _schema(value) for value in values},
    }


def _schema(value: Value) -> dict[str, Any]:
    about = {"description": value.meaning}
    if value.schema is None and value.children:
        return {**about, **_object(value.children)}
    given = dict(value.schema or {})
    if "$ref" in given:
        return {**about, "$ref": f"#/$defs/{given['$ref']}"}
    if not {"type", "enum", "anyOf"} & given.keys():
        given = {"type": _type(value), **given}
    return {**about, **given}


def _type(value: Value) -> str:
    name = _TYPES.get(type(value.default).__name__)
    if name is None:
        raise ValuesError(f"{value.path}: say its schema in a comment that begins with # @")
    return name


def _values(node: yaml.Node | None, path: str, lines: list[str]) -> Iterator[Value]:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, below in node.value:
        place = f"{path}.{key.value}" if path else key.value
        meaning, given = _comment(key.start_mark.line, key.start_mark.column, lines)
        found = None if given is None else yaml.safe_load(given)
        inner = below if found is None else None
        yield Value(
            path=place,
            meaning=meaning,
            default=_plain(below),
            schema=found,
            children=tuple(_values(inner, place, lines)) if inner is not None else (),
        )


def _plain(node: yaml.Node) -> Any:
    return yaml.constructor.SafeConstructor().construct_document(node)


def _comment(line: int, column: int, lines: list[str]) -> tuple[str, str | None]:
    """Words and schema of the comment that ends above a line, at its indentation."""
    mark = " " * column + "# "
    words: list[str] = []
    given = None
    for text in reversed(lines[:line]):
        if not text.startswith(mark):
            break
        said = text[len(mark) :]
        if said.startswith("@ "):
            given = said[2:]
        else:
            words.insert(0, said.strip())
    return " ".join(words), given
