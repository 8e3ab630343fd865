"""A definition in a few hundred lines that a reviewer can read: fields, bounds, rules' words."""

from collections.abc import Iterator
from typing import Any

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
    for rule in schema.get("x-kubernetes-validations", ()):
        yield f"  ! {rule.get('message') or rule['messageExpression']}"
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        yield from _lines(f"{path}.{name}{'*' * (name in required)}", field)
    if "items" in schema and _is_object(schema["items"]):
        yield from _lines(f"{path}[]", schema["items"])
    elif "items" in schema:
        for rule in schema["items"].get("x-kubernetes-validations", ()):
            yield f"  ! each: {rule.get('message') or rule['messageExpression']}"


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
    parts += [f"over {schema['minimum']}"] * bool(schema.get("exclusiveMinimum"))
    parts += [f"below {schema['maximum']}"] * bool(schema.get("exclusiveMaximum"))
    if "default" in schema:
        parts.append(f"default={schema['default']}")
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        parts.append("open")
    return " ".join(parts)
