"""A definition in a few hundred lines that a reviewer can read: fields, bounds, rules' words."""

from collections.abc import Iterator
from typing import Any

from tools.crd.cel import sentences

_BOUNDS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern")


def text(definition: dict[str, Any]) -> str:
    """One line a field, and one a rule."""
    (version,) = definition["spec"]["versions"]
    names = definition["spec"]["names"]
    head = [
        f"{definition['metadata']['name']} {version['name']} ({', '.join(names['shortNames'])})",
        f"subresources: {', '.join(version.get('subresources', {})) or 'none'}",
        "columns: " + ", ".join(c["name"] for c in version["additionalPrinterColumns"]),
    ]
    root = version["schema"]["openAPIV3Schema"]
    return "\n".join([*head, *_lines("", root)]) + "\n"


def _lines(path: str, schema: dict[str, Any]) -> Iterator[str]:
    if path:
        yield f"{path}: {_type(schema)}"
    yield from _rules(schema, "  !")
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        yield from _lines(f"{path}.{name}{'*' * (name in required)}", field)
    if "items" in schema and _is_object(schema["items"]):
        yield from _lines(f"{path}[]", schema["items"])
    elif "items" in schema:
        yield from _rules(schema["items"], "  ! each:")


def _rules(schema: dict[str, Any], mark: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield f"{mark} {' | '.join(sentences(rule))}"


def _is_object(schema: dict[str, Any]) -> bool:
    return "properties" in schema


def _type(schema: dict[str, Any]) -> str:
    kind = schema.get("type", "any")
    if schema.get("x-kubernetes-int-or-string"):
        kind = "integer or string"
    parts = [kind]
    if "items" in schema and not _is_object(schema["items"]):
        parts.append(f"of {_type(schema['items'])}")
    if "x-kubernetes-list-type" in schema:
        parts.append(schema["x-kubernetes-list-type"])
    if "enum" in schema:
        parts.append("/".join(schema["enum"]))
    parts += [f"{key}={schema[key]}" for key in _BOUNDS if key in schema]
    parts += [key for key in ("exclusiveMinimum", "exclusiveMaximum") if schema.get(key)]
    if "default" in schema:
        parts.append(f"default={schema['default']}")
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        parts.append("open")
    return " ".join(parts)
