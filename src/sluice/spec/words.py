"""What pydantic found, in the words of somebody who reads a YAML file."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from sluice.spec.base import Loc, Relation
from sluice.spec.describe import meanings
from sluice.spec.scalars import quoted, shown


def nearest(word: str, choices: Iterable[str]) -> str:
    """``; did you mean "x"?`` when a choice is near, else nothing."""
    # Longer words are no typing errors, and comparing them costs time.
    found = get_close_matches(word, list(choices), n=1, cutoff=0.6) if len(word) <= 64 else []
    return f"; did you mean {quoted(found[0])}?" if found else ""


def relations_in(error: ValidationError, model: type[BaseModel]) -> Iterator[Relation]:
    """Every fault of a validation as (place, reason), one for each place and reason.

    Args:
        error: What validating a document raised.
        model: The document's model; knows field names for suggestions.
    """
    details = error.errors(include_url=False)
    # A rule between fields says more about a field than "unknown": blueGreen is known, but not yet.
    told = {detail["loc"] for detail in details if detail["type"] == "sluice"}
    seen: set[Relation] = set()
    for detail in details:
        loc: Loc = detail["loc"]
        if detail["type"] == "sluice":
            reason = str(detail["msg"])
        elif loc in told or _only_items_fail(detail):
            continue
        else:
            reason = _reason(detail, loc, model)
        if (loc, reason) not in seen:
            seen.add((loc, reason))
            yield loc, reason


def _only_items_fail(detail: Mapping[str, Any]) -> bool:
    """Whether a list is "too short" because pydantic does not count items with faults."""
    value = detail["input"]
    short = detail["type"] == "too_short" and isinstance(value, list)
    return short and len(value) >= detail["ctx"]["min_length"]


def _reason(detail: Mapping[str, Any], loc: Loc, model: type[BaseModel]) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "missing":
        return "is missing" + _meaning(model, loc)
    if kind == "extra_forbidden":
        return _unknown(model, loc)
    if value is None:
        return "is empty: give it a value or remove it"
    return _WORDS.get(kind, _other)(detail.get("ctx", {}), value)


def _other(_: Mapping[str, Any], value: object) -> str:
    return f"{shown(value)} does not fit here"


def _text(_: Mapping[str, Any], value: object) -> str:
    quotes = f': put it in quotes, "{shown(value)}"' if isinstance(value, int | float) else ""
    return f"must be text, not {shown(value)}{quotes}"


def _whole(_: Mapping[str, Any], value: object) -> str:
    return f"must be a whole number, not {shown(value)}"


def _number(_: Mapping[str, Any], value: object) -> str:
    quoted = isinstance(value, str) and value.replace(".", "", 1).isdecimal()
    return f"must be a number, not {shown(value)}" + (": remove the quotes" if quoted else "")


def _object(_: Mapping[str, Any], value: object) -> str:
    return f"must be an object (fields with values), not {shown(value)}"


def _list(_: Mapping[str, Any], value: object) -> str:
    return f"must be a list (each item on a line with -), not {shown(value)}"


def _flag(_: Mapping[str, Any], value: object) -> str:
    return f"must be true or false, not {shown(value)}"


def _one_of(context: Mapping[str, Any], value: object) -> str:
    choices = [part.strip("' ") for part in context["expected"].replace(" or ", ",").split(",")]
    hint = nearest(value, choices) if isinstance(value, str) else ""
    if len(choices) == 1:
        return f'must be "{choices[0]}", not {shown(value)}{hint}'
    return f"{shown(value)} is not one of {', '.join(choices)}{hint}"


def _limit(key: str, words: str) -> Callable[[Mapping[str, Any], object], str]:
    return lambda context, value: f"must be {words} {context[key]:,.12g}, not {shown(value)}"


def _short(context: Mapping[str, Any], _: object) -> str:
    return f"must have at least {context['min_length']} item"


def _long(context: Mapping[str, Any], _: object) -> str:
    return f"has more than {context['max_length']} items"


_WORDS: Mapping[str, Callable[[Mapping[str, Any], object], str]] = {
    "string_type": _text,
    "int_type": _whole,
    "int_from_float": _whole,
    "float_type": _number,
    "finite_number": _number,
    "bool_type": _flag,
    "model_type": _object,
    "model_attributes_type": _object,
    "dict_type": _object,
    "tuple_type": _list,
    "list_type": _list,
    "literal_error": _one_of,
    "greater_than": _limit("gt", "over"),
    "greater_than_equal": _limit("ge", "at least"),
    "less_than": _limit("lt", "below"),
    "less_than_equal": _limit("le", "at most"),
    "too_short": _short,
    "too_long": _long,
    "string_unicode": lambda _, value: f"{shown(value)} holds half a character",
    "string_too_short": lambda *_: "must not be empty",
    "string_too_long": lambda context, _: f"has more than {context['max_length']} characters",
    "string_pattern_mismatch": lambda _, value: f"{shown(value)} is not such as 28d, 4w or 1M",
}


def _unknown(model: type[BaseModel], loc: Loc) -> str:
    parent = model_at(model, loc[:-1])
    known = list(fields(parent)) if parent else []
    hint = nearest(str(loc[-1]), known)
    return f"unknown field{hint or '; known here: ' + ', '.join(known)}"


def _meaning(model: type[BaseModel], loc: Loc) -> str:
    parent = model_at(model, loc[:-1])
    field = fields(parent).get(str(loc[-1])) if parent else None
    if field is not None and get_origin(field.annotation) is Literal:
        return f": write {' or '.join(get_args(field.annotation))}"
    meaning = meanings(parent).get(str(loc[-1]), "") if parent else ""
    sentence = meaning.replace("``", "").split(". ")[0].rstrip(".")
    return f" ({sentence})" if sentence else ""


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by their name in a file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def model_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """The model of the object at a place below ``model``; None where there is no model."""
    current: type[BaseModel] | None = model
    for part in loc:
        if isinstance(part, int):
            continue
        field = fields(current).get(part) if current else None
        current = _model_in(field.annotation) if field else None
    return current


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, Union, UnionType, Annotated):
        found = (_model_in(argument) for argument in get_args(annotation))
        return next((model for model in found if model is not None), None)
    return None
