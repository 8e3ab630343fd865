"""The one way from a model's own fields to its tensors, for web, batch and stream alike."""

import ast
import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from sluice_model_api.errors import BundleError
from sluice_model_api.features import identity, taxi
from sluice_model_api.tensors import Array

Prepare = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""Columns by input name, each with rows first, to the tensors that the model file takes."""

FUNCTIONS: Final[Mapping[str, Prepare]] = {
    "identity/1": identity.prepare,
    "taxi.trip/1": taxi.trip,
    "taxi.fare/1": taxi.fare,
}
"""Feature functions by id. A change of what one computes is a new id, never an edit."""


def prepare_features(function: str, columns: Mapping[str, Array]) -> Mapping[str, Array]:
    """Turn columns into the tensors of the model file.

    Args:
        function: Id of the feature function, as the bundle names it.
        columns: One array per input of the bundle, shape (rows, …).

    Raises:
        BundleError: this version of the model API does not have that function.
    """
    return feature_function(function)(columns)


def feature_function(function: str) -> Prepare:
    """The function behind an id.

    Raises:
        BundleError: this version of the model API does not have that function.
    """
    try:
        return FUNCTIONS[function]
    except KeyError:
        raise BundleError(
            f"feature function {function!r} is unknown here; known: {', '.join(FUNCTIONS)}"
        ) from None


@cache
def feature_digest(function: str) -> str:
    """``sha256:…`` of the module that defines a feature function, comments and docs aside.

    Raises:
        BundleError: this version of the model API does not have that function.
    """
    tree = ast.parse(inspect.getsource(sys.modules[feature_function(function).__module__]))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _is_text(part)]  # type: ignore[attr-defined]  # only nodes that have a body reach this
    return f"sha256:{hashlib.sha256(ast.dump(tree).encode()).hexdigest()}"


def _is_text(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
