"""What every model of a document has in common."""

from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError
from pydantic import model_validator as _model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from sluice.spec.scalars import wrong

Loc = tuple[str | int, ...]
"""Where a value is: keys and indices from the document's root."""
Relation = tuple[Loc, str]
"""A broken relation between fields: where to point, and the reason."""


class Model(BaseModel):
    """Frozen, camelCase in files, unknown fields refused; docstrings are the field reference."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        allow_inf_nan=False,
        defer_build=True,  # one build for each kind when first used, not one for each class
    )


def exactly_one(*choices: str) -> ConfigDict:
    """Says in the JSON Schema that one of these fields must be there; ``relations`` checks it."""
    return ConfigDict(json_schema_extra={"oneOf": [{"required": [key]} for key in choices]})


class Related(Model):
    """A model with rules between its fields, told together with what is wrong in the fields.

    A pydantic validator "after" would stay silent while any field is wrong, and the author of the
    file would meet the second fault only after mending the first.
    """

    @classmethod
    def relations(cls, raw: Mapping[str, Any]) -> Iterator[Relation]:
        """Every broken relation in ``raw``, which may hold values of any type."""
        return iter(())

    @_model_validator(mode="wrap")
    @classmethod
    def _with_relations(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        lines = [
            InitErrorDetails(type=wrong(reason), loc=loc, input=data)
            for loc, reason in (cls.relations(data) if isinstance(data, Mapping) else ())
        ]
        try:
            value = handler(data)
        except ValidationError as error:
            if not lines:
                raise
            lines += [_again(detail) for detail in error.errors(include_url=False)]
        if lines:
            raise ValidationError.from_exception_data(cls.__name__, lines)
        return value


def _again(detail: Any) -> InitErrorDetails:
    kind = detail["type"]
    context = detail.get("ctx", {})
    if kind == "sluice":
        kind = PydanticCustomError("sluice", "{reason}", context)
    return InitErrorDetails(type=kind, loc=detail["loc"], input=detail["input"], ctx=context)
