"""JSON Schemas of the documents, for editors and other tools, from the models."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from sluice.spec.describe import meanings
from sluice.spec.loader import MODELS
from sluice.spec.words import fields, model_at

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCALARS = ("duration", "percent", "address")
"""Titles that name a scalar of ours; every other title only repeats the field's name."""


def schema_of(kind: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of a kind of document.

    What it accepts may still be refused by the loader, which knows rules between fields; what it
    refuses, the loader refuses.
    """
    model = MODELS[kind]
    schema = model.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    for child in _models_below(model):
        _tidy(definitions[child.__name__], child)
    _tidy(schema, model)
    return {"$schema": DIALECT, "title": kind, **schema}


def _models_below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    waiting, seen = [model], {model}
    while waiting:
        for child in children(waiting.pop()).values():
            if child not in seen:
                seen.add(child)
                waiting.append(child)
                yield child


def children(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The models that the fields of a model hold, by field name in files."""
    found = {name: model_at(model, (name,)) for name in fields(model)}
    return {name: child for name, child in found.items() if child is not None}


def _tidy(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Defaults as a file would say them; no empty words."""
    defaults = model.model_construct().model_dump(mode="json", by_alias=True)
    described = meanings(model)
    schema.pop("title", None)
    for name, field in schema["properties"].items():
        if field.get("title") not in SCALARS:
            field.pop("title", None)
        field.pop("default", None)
        if defaults.get(name) not in (None, [], {}) and not isinstance(defaults[name], dict):
            field["default"] = defaults[name]
        if name in described:
            schema["properties"][name] = {"description": described[name], **field}
