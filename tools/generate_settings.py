"""The reference page of all settings, from the classes that read them."""

import ast
import inspect
import textwrap
import types
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec.structs
from pydantic import AliasChoices, BaseModel, SecretStr
from pydantic.fields import FieldInfo

from sluice.agent.settings import Settings as RouterSettings
from sluice.cluster.settings import Settings as ControllerSettings
from sluice_model_api.environment import FromEnvironment, Secret
from sluice_model_api.faults import Faults
from sluice_model_api.settings import Settings as ModelSettings

SettingsClass = type[BaseModel] | type[FromEnvironment]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting, whichever library reads it (the model API's start needs a fast one)."""

    variable: str
    """The environment variable."""
    name: str
    """The field."""
    annotation: Any
    """Its type."""
    required: bool
    default: Any


SETTINGS: tuple[tuple[str, str, SettingsClass], ...] = (
    (
        "The router",
        "Read by the agent (`sluice-router`, or the agent that `sluice up` starts). On a laptop\n"
        "`sluice up` sets what is needed.",
        RouterSettings,
    ),
    (
        "The controller",
        "Read by `sluice-controller`; the chart sets them from its values.",
        ControllerSettings,
    ),
    ("The model API", "Read by `model-api serve`.", ModelSettings),
    (
        "Faults on demand",
        "Read by `model-api serve`: a version that is bad on purpose, to rehearse a release with.",
        Faults,
    ),
)
"""Title, introduction and class of every service's settings."""

_HEAD = """\
# Settings

<!-- written by `make update` from the settings themselves; do not edit -->

Services are set by environment variables, read once at the start. A value that cannot be used ends
the start with a line that names its variable. What a release does is not set here but in its file:
[release.md](release.md). The command line's own: `SLUICE_DIR` (the state folder) and
`SLUICE_DEBUG`, both in [cli.md](cli.md).
"""


def page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(_section(*entry) for entry in SETTINGS)])


def settings_of(kind: SettingsClass) -> list[Setting]:
    """Every setting of a class, in its order."""
    if issubclass(kind, FromEnvironment):
        return [
            Setting(variable=kind.variable(field.name), name=field.name, annotation=field.type,
                    required=field.required, default=field.default)
            for field in msgspec.structs.fields(kind)
        ]  # fmt: skip
    prefix = str(kind.model_config.get("env_prefix", ""))
    return [
        Setting(variable=_alias(field) or f"{prefix}{name.upper()}", name=name,
                annotation=field.annotation, required=field.is_required(), default=field.default)
        for name, field in kind.model_fields.items()
    ]  # fmt: skip


def names_of(kind: SettingsClass) -> dict[str, str]:
    """The environment variable of each field, by field."""
    return {setting.name: setting.variable for setting in settings_of(kind)}


def _alias(field: FieldInfo) -> str:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return alias if isinstance(alias, str) else ""


def _section(title: str, about: str, kind: SettingsClass) -> str:
    meanings = _docstrings(kind)
    rows = [
        f"| `{one.variable}` | {_type(one)} | {_default(one)} | {meanings[one.name]} |"
        for one in settings_of(kind)
    ]
    head = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"## {title}", "", about, "", *head, *rows, ""])


def _docstrings(settings: SettingsClass) -> dict[str, str]:
    """The text below each field.

    Raises:
        KeyError: (of the caller) a field has none.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(settings)))
    body = tree.body[0].body  # type: ignore[attr-defined]  # a class has a body
    found = {}
    for field, text in pairwise(body):
        is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            meaning = " ".join(inspect.cleandoc(text.value.value).split())
            found[field.target.id] = meaning.replace("``", "`").replace("|", "\\|")
    return found


def _type(setting: Setting) -> str:
    return " or ".join(_words(setting.annotation))


def _words(annotation: Any) -> list[str]:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return [
            word for item in get_args(annotation) if item is not type(None) for word in _words(item)
        ]
    if origin is Annotated:
        return _words(get_args(annotation)[0])
    if origin is Literal:
        return [f"`{value}`" for value in get_args(annotation)]
    known = {bool: "true or false", int: "whole number", float: "number"}
    if annotation in (Secret, SecretStr):
        return ["secret"]
    return [known.get(annotation, "text" if annotation is str else "path")]


def _default(setting: Setting) -> str:
    if setting.required:
        return "required"
    value = setting.default
    value = value.get_secret_value() if isinstance(value, Secret | SecretStr) else value
    if value is None or value == "":
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`"
