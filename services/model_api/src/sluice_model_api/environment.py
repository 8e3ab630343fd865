"""Frozen settings from environment variables, every value checked."""

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import msgspec

from sluice_model_api.errors import ModelApiError


class UnusableError(ModelApiError):
    """Values that cannot be used.

    Args:
        faults: Field and what is wrong with its value, every one.
    """

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {reason}" for name, reason in faults.items()))
        self.faults = faults


class Secret:
    """A text that no log line, traceback or repr shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        """The text itself."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret('**********')" if self._value else "Secret('')"


class FromEnvironment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of settings: field ``x`` is read from ``<prefix>X``.

    Not pydantic: it costs the start of a replica 0.1 s of CPU and 8 MB (decision 0140). A class
    made directly takes what it is given; :meth:`checked` and :meth:`read` look at every value.
    """

    prefix: ClassVar[str]
    also: ClassVar[Mapping[str, str]] = {}
    """Second names of variables, by field."""

    @classmethod
    def read(cls, overrides: Mapping[str, Any]) -> Self:
        """Read the environment; ``overrides`` win.

        Raises:
            UnusableError: names every field whose value cannot be used.
        """
        values: dict[str, Any] = {}
        for name in cls.__struct_fields__:
            for variable in (cls.variable(name), cls.also.get(name, "")):
                value = os.environ.get(variable, "")
                # Kubernetes sets MODEL_API_PORT=tcp://… beside a Service named model-api.
                if value and not value.startswith("tcp://"):
                    values[name] = value
                    break
        return cls.checked(values | dict(overrides))

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> Self:
        """From values by field, which may be texts.

        Raises:
            UnusableError: names every field whose value cannot be used.
        """
        known = {field.name: field.type for field in msgspec.structs.fields(cls)}
        good: dict[str, Any] = {}
        faults: dict[str, str] = {}
        for name, value in values.items():
            if name not in known:
                faults[name] = f"unknown; known are {', '.join(known)}"
                continue
            try:
                good[name] = msgspec.convert(value, known[name], strict=False, dec_hook=_secret)
            except msgspec.ValidationError as error:
                faults[name] = str(error)
        if faults:
            raise UnusableError(faults)
        return cls(**good)

    @classmethod
    def variable(cls, name: str) -> str:
        """The variable of a field."""
        return f"{cls.prefix}{name.upper()}"

    @classmethod
    def faults_of(cls, error: UnusableError) -> list[str]:
        """What is wrong, one text per variable."""
        return [f"{cls.variable(name)}: {reason}" for name, reason in error.faults.items()]


def _secret(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    # msgspec turns it into its own error, with the place.
    raise ValueError(f"cannot be made of {type(value).__name__}")
