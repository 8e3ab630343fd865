"""What the fields of a model mean: the docstrings below them."""

import ast
import inspect
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from textwrap import dedent

from pydantic import BaseModel


@cache
def meanings(model: type[BaseModel]) -> Mapping[str, str]:
    """The docstring of each field on one line, by the field's name in files.

    Read from the source when somebody asks: pydantic would do it for every model at import, which
    is a third of what importing ``sluice.spec`` costs.
    """
    found: dict[str, str] = {}
    for part in reversed(model.__mro__):
        if issubclass(part, BaseModel) and part is not BaseModel:
            found |= _docstrings(part)
    fields = model.model_fields.items()
    return {field.alias or name: found[name] for name, field in fields if name in found}


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    tree = ast.parse(dedent(inspect.getsource(model))).body[0]
    return {
        node.target.id: " ".join(after.value.value.split())
        for node, after in pairwise(getattr(tree, "body", ()))
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    }
