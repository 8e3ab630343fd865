"""The field reference of the documents, as Markdown, from their JSON Schemas."""

import json
from typing import Any

from sluice.spec.loader import API_VERSIONS, MODELS
from sluice.spec.schema import schema_of
from tools.crd.page import section

HEAD = """\
# Release, ReleasePolicy, SLO

Every field that a file can hold. This page is made from the models by `make update`.

Durations are written `30s`, `2m`, `1h30m`, `500ms`; percentages are numbers with up to two decimals
(`0.25`). Unknown fields are refused. The same as JSON Schemas for editors:
[release](../../schemas/release.json), [release-policy](../../schemas/release-policy.json),
[slo](../../schemas/slo.json).
"""


def page() -> str:
    """The whole page."""
    return HEAD + "".join(_kind(kind) for kind in MODELS) + section()


def _kind(kind: str) -> str:
    """The chapter of a kind: one section for each object, in the order of reading."""
    schema = schema_of(kind)
    definitions = schema["$defs"]
    text = f"\n## {kind}\n\n{_words(schema['description'])} `apiVersion: {API_VERSIONS[kind]}`\n"
    places: dict[str, str] = {}
    sections: list[tuple[str, dict[str, Any]]] = []
    waiting = [(name, schema["properties"][name]) for name in ("metadata", "spec")]
    while waiting:
        path, field = waiting.pop(0)
        name = _reference(field)
        if name is None or name in places or "properties" not in definitions[name]:
            continue
        place = path + "[]" * _is_list(field)
        places[name] = place
        sections.append((place, definitions[name]))
        below = definitions[name]["properties"].items()
        waiting = [(f"{place}.{key}", value) for key, value in below] + waiting
    links = {name: _anchor(f"{kind} {place}") for name, place in places.items()}
    return text + "".join(_section(kind, place, d, links) for place, d in sections)


def _section(kind: str, place: str, definition: dict[str, Any], links: dict[str, str]) -> str:
    text = f"\n### {kind} `{place}`\n\n{_words(definition['description'])}\n"
    if definition["additionalProperties"] is True:
        text += "Fields that are not named here are Kubernetes' own and are kept.\n"
    text += "\n| field | type | default | meaning |\n|---|---|---|---|\n"
    required = definition.get("required", ())
    for key, field in definition["properties"].items():
        default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
        cells = [f"`{key}`", _type(field, links), "required" if key in required else default]
        text += f"| {' | '.join(cells)} | {_words(field.get('description', ''))} |\n"
    return text


def _anchor(heading: str) -> str:
    """The address that Markdown readers give a heading."""
    kept = (char for char in heading.lower() if char.isalnum() or char in " -")
    return "#" + "".join(kept).replace(" ", "-")


def _type(field: dict[str, Any], links: dict[str, str]) -> str:
    field = _plain(field)
    if "$ref" in field:
        name = _reference(field)
        return f"[object]({links[name]})" if name in links else "any JSON"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{choice}`" for choice in field["enum"])
    if "anyOf" in field:
        return " or ".join(_type(choice, links) for choice in field["anyOf"])
    kind = field.get("type")
    if kind == "array":
        return f"list of {_type(field['items'], links)}"
    if kind == "object":
        values = field.get("additionalProperties", {})
        return "texts by name" if values == {"type": "string"} else "object of any fields"
    names = {"string": "text", "integer": "whole number", "boolean": "true or false"}
    return str(field.get("title") or names.get(str(kind), kind or "any JSON")) + _range(field)


def _range(field: dict[str, Any]) -> str:
    signs = {"exclusiveMinimum": "> ", "minimum": "≥ ", "exclusiveMaximum": "< ", "maximum": "≤ "}
    limits = [f"{sign}{field[key]:,.12g}" for key, sign in signs.items() if key in field]
    return f" ({', '.join(limits)})" if limits else ""


def _plain(field: dict[str, Any]) -> dict[str, Any]:
    """A field without "or null", which says in JSON only that it may be left out."""
    choices = [choice for choice in field.get("anyOf", ()) if choice.get("type") != "null"]
    return choices[0] if len(choices) == 1 else {**field, "anyOf": choices} if choices else field


def _is_list(field: dict[str, Any]) -> bool:
    return _plain(field).get("type") == "array"


def _reference(field: dict[str, Any]) -> str | None:
    field = _plain(field)
    target = field.get("items", field).get("$ref")
    return str(target).rpartition("/")[2] if target else None


def _words(text: str) -> str:
    return " ".join(text.replace("``", "`").split()).replace("|", "\\|")
