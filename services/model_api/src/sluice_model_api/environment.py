"""Frozen settings from environment variables, checked by pydantic."""

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError


class FromEnvironment(BaseModel):
    """Base of settings: field ``x`` is read from ``<prefix>X``.

    Not pydantic-settings: its sources for files, secrets and clouds take 0.28 s of CPU to import,
    a seventh of the start of a replica (decision 0050).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    prefix: ClassVar[str]
    also: ClassVar[Mapping[str, str]] = {}
    """Second names of variables, by field."""

    @classmethod
    def read(cls, overrides: Mapping[str, Any]) -> Self:
        """Read the environment; ``overrides`` win.

        Raises:
            ValidationError: a variable has a value that cannot be used.
        """
        values: dict[str, Any] = {}
        for name in cls.model_fields:
            for variable in (cls.variable(name), cls.also.get(name, "")):
                value = os.environ.get(variable, "")
                # Kubernetes sets MODEL_API_PORT=tcp://… beside a Service named model-api.
                if value and not value.startswith("tcp://"):
                    values[name] = value
                    break
        return cls.model_validate(values | dict(overrides))

    @classmethod
    def variable(cls, name: str) -> str:
        """The variable of a field."""
        return f"{cls.prefix}{name.upper()}"

    @classmethod
    def faults_of(cls, error: ValidationError) -> list[str]:
        """What is wrong, one text per variable."""
        return [
            f"{cls.variable(str(fault['loc'][0])) if fault['loc'] else cls.prefix}: {fault['msg']}"
            for fault in error.errors(include_url=False)
        ]
