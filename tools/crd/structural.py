"""JSON Schema of a model to the structural OpenAPI v3 schema that the API server asks for.

No ``$ref``; one type a field; what a type cannot say is left open and judged by CEL rules or by the
controller (``tools.crd.rules``).
"""

from collections.abc import Mapping
from typing import Any

from sluice.spec.schema import schema_of
from tools.crd import rules

Schema = dict[str, Any]
OPEN: Schema = {"x-kubernetes-preserve-unknown-fields": True}
_KEPT = ("enum", "format", "maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum",
         "pattern")  # fmt: skip
_SETS = ("hosts", "configMaps", "secrets")
"""Lists of names whose order says nothing: two appliers can each own some."""
_BY_NAME = {"containers": ["name"]}
"""Lists that appliers merge item by item."""
_PRESENCE = ("atol", "rtol", "deviation", "cap", "lease", "clientErrors", "latencyOrder")
"""Fields whose mere presence means something: a default would put them there. The first belong to
one kind of their object only, the others are asked of the data plane when they are written."""


def spec_of(kind: str) -> Schema:
    """Structural schema of ``spec`` of a kind."""
    schema = schema_of(kind)
    return _Translation(schema["$defs"]).field("spec", schema["properties"]["spec"])


def name_of(kind: str) -> Schema:
    """What the API server may check of ``metadata``: the name, and nothing else."""
    schema = schema_of(kind)
    reference = schema["properties"]["metadata"]["$ref"].rpartition("/")[2]
    name = schema["$defs"][reference]["properties"]["name"]
    kept = {key: name[key] for key in ("type", "pattern", "maxLength")}
    return {"type": "object", "properties": {"name": kept}}


class _Translation:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def field(self, name: str, given: Mapping[str, Any], *, defaults: bool = True) -> Schema:
        """One field: its own words first, then the type's."""
        schema = self._type(name, _without_null(given), defaults=defaults)
        words = _words(given.get("description", ""))
        about = schema.pop("description", "")
        if words and about and not about.startswith(words.rstrip(".")):
            words = f"{words} {about}"
        text = about if about.startswith(words.rstrip(".")) else words
        default = given.get("default")
        if (
            defaults
            and name not in _PRESENCE
            and "type" in schema | {"type": schema.get("x-kubernetes-int-or-string")}
            and isinstance(default, str | int | float)
            and default != ""
            and schema.get("type", "scalar") not in ("array", "object")
            and schema != OPEN
        ):
            schema["default"] = default
        return {"description": text, **schema} if text else schema

    def _type(self, name: str, given: Mapping[str, Any], *, defaults: bool) -> Schema:
        if "$ref" in given:
            return self._object(given["$ref"].rpartition("/")[2], defaults=defaults)
        if "anyOf" in given:
            return _either(given["anyOf"])
        if "const" in given:
            return {"type": "string", "enum": [given["const"]]}
        match given.get("type"):
            case "array":
                return self._list(name, given, defaults=defaults)
            case "object":
                return self._map(given, defaults=defaults)
            case str() as kind:
                found = rules.of_scalar(given)
                return {"type": kind, **_kept(given), **_validations(found)}
        return dict(OPEN)

    def _object(self, name: str, *, defaults: bool) -> Schema:
        definition = self._definitions[name]
        if "properties" not in definition:
            return dict(OPEN)
        kube = definition["additionalProperties"] is True
        below = {
            key: self.field(key, value, defaults=defaults and not kube)
            for key, value in definition["properties"].items()
        }
        schema: Schema = {"description": _words(definition["description"]), "type": "object"}
        if "required" in definition:
            schema["required"] = definition["required"]
        schema["properties"] = below
        if kube:
            schema |= OPEN
        return schema | _validations(rules.RULES.get(name, ()))

    def _list(self, name: str, given: Mapping[str, Any], *, defaults: bool) -> Schema:
        items = self._type(name, given["items"], defaults=defaults)
        schema = {"type": "array", **_kept(given), "items": items}
        if name in _SETS:
            return schema | {"x-kubernetes-list-type": "set"}
        if name in _BY_NAME:
            keys = _BY_NAME[name]
            return schema | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys}
        return schema | {"x-kubernetes-list-type": "atomic"}

    def _map(self, given: Mapping[str, Any], *, defaults: bool) -> Schema:
        values = given.get("additionalProperties", True)
        if values is True or "$ref" in values:
            return {"type": "object", **OPEN}
        return {"type": "object", "additionalProperties": self._type("", values, defaults=defaults)}


def _without_null(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """A field without "or null": the API server takes null for left out."""
    choices = [choice for choice in given.get("anyOf", ()) if choice.get("type") != "null"]
    if len(choices) == 1:
        return {**{key: given[key] for key in given if key != "anyOf"}, **choices[0]}
    return {**given, "anyOf": choices} if choices else given


def _either(choices: list[Mapping[str, Any]]) -> Schema:
    """A number or a text; anything else has no structural type and stays open."""
    if {choice.get("type") for choice in choices} != {"integer", "string"}:
        return dict(OPEN)
    schema: Schema = {"x-kubernetes-int-or-string": True}
    for choice in choices:
        schema |= _kept(choice)
    return {"anyOf": [{"type": "integer"}, {"type": "string"}], **schema}


def _kept(given: Mapping[str, Any]) -> Schema:
    kept = {key: given[key] for key in _KEPT if key in given}
    for bound in ("minimum", "maximum"):
        exclusive = "exclusive" + bound.capitalize()
        if exclusive in given:
            kept |= {bound: given[exclusive], exclusive: True}
    return kept


def _validations(found: tuple[rules.Rule, ...]) -> Schema:
    return {"x-kubernetes-validations": [rule.as_object() for rule in found]} if found else {}


def _words(text: str) -> str:
    """A docstring as ``kubectl explain`` shows it: on one line, without marks."""
    return " ".join(text.replace("``", '"').split())
