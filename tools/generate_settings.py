"""The reference page of all settings, from the classes that read them."""

import ast
import inspect
import textwrap
import types
from itertools import pairwise
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, SecretStr
from pydantic.fields import FieldInfo

from sluice.agent.settings import Settings as RouterSettings
from sluice_model_api.faults import Faults
from sluice_model_api.settings import Settings as ModelSettings

SETTINGS: tuple[tuple[str, str, type[BaseModel]], ...] = (
    (
        "The router",
        "Read by the agent (`sluice-router`, or the agent that `sluice up` starts). On a laptop\n"
        "`sluice up` sets what is needed.",
        RouterSettings,
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


def names_of(settings: type[BaseModel]) -> dict[str, str]:
    """The environment variable of each field, by field."""
    # The model API reads its variables without pydantic-settings (decision 50).
    own = getattr(settings, "prefix", "")
    prefix = own or str(settings.model_config.get("env_prefix", ""))
    return {
        name: _alias(field) or f"{prefix}{name.upper()}"
        for name, field in settings.model_fields.items()
    }


def _alias(field: FieldInfo) -> str:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return alias if isinstance(alias, str) else ""


def _section(title: str, about: str, settings: type[BaseModel]) -> str:
    meanings = _docstrings(settings)
    names = names_of(settings)
    rows = [
        f"| `{names[name]}` | {_type(field)} | {_default(field)} | {meanings[name]} |"
        for name, field in settings.model_fields.items()
    ]
    head = ["| variable | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"## {title}", "", about, "", *head, *rows, ""])


def _docstrings(settings: type[BaseModel]) -> dict[str, str]:
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


def _type(field: FieldInfo) -> str:
    return " or ".join(_words(field.annotation))


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
    known = {bool: "true or false", int: "whole number", float: "number", SecretStr: "secret"}
    return [known.get(annotation, "text" if annotation is str else "path")]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    value = value.get_secret_value() if isinstance(value, SecretStr) else value
    if value is None or value == "":
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`"
