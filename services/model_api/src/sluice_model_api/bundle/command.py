"""``model-api bundle``: build, verify, show."""

import importlib
import os
import sys
from dataclasses import replace
from pathlib import Path

import orjson

from sluice_model_api.bundle.archive import PICKLE_REASON, PICKLES, Bundle, read_bundle
from sluice_model_api.errors import BundleError
from sluice_model_api.model import Model


def build(source: str, out: Path, *, trust: list[str]) -> Bundle:
    """Build the bundle that a Python function describes.

    Args:
        source: ``module:function``; the function returns a :class:`Recipe`.
        out: Registry folder; the bundle is written to ``out/name/version``.
        trust: Types that a skops file may hold.

    Raises:
        BundleError: no such function, a pickle, or a model that cannot be bundled.
    """
    from sluice_model_api.bundle.build import Recipe, build_bundle  # the extra `train`

    if Path(source).suffix.lower() in PICKLES:
        raise BundleError(f"{source}: refused: {PICKLE_REASON}")
    module, _, name = source.partition(":")
    # As for `python -m`: the recipe usually lies where the command is run.
    sys.path.insert(0, os.getcwd())  # sys.path holds strings
    try:
        function = getattr(importlib.import_module(module), name or "recipe")
    except (ImportError, AttributeError, ValueError) as error:
        raise BundleError(f"{source}: give module:function of a recipe: {error}") from error
    recipe = function()
    if not isinstance(recipe, Recipe):
        raise BundleError(f"{source}: returned {type(recipe).__name__}, expected a Recipe")
    recipe = replace(recipe, trusted_types=(*recipe.trusted_types, *trust))
    return build_bundle(recipe, out / recipe.name / recipe.version)


def verify(path: Path, *, digest: str, trust: list[str]) -> Bundle:
    """Do everything that a server does before it is ready.

    Raises:
        BundleError: the bundle must not be served.
    """
    bundle = read_bundle(path, digest=digest)
    Model(bundle, trusted=trust)
    return bundle


def describe(bundle: Bundle) -> str:
    """What is in a bundle, for a person."""
    manifest = bundle.manifest
    lines = [
        f"{manifest.name} {manifest.version}  {manifest.description}",
        f"digest    {bundle.digest}",
        f"platform  {manifest.platform}, features {manifest.features.id}",
        *(
            f"input     {spec.name} {spec.datatype} {list(spec.shape)} {spec.description}".rstrip()
            for spec in manifest.inputs
        ),
        *(f"output    {spec.name} {spec.datatype} {list(spec.shape)}" for spec in manifest.outputs),
        f"parity    {manifest.parity.rows} rows, max |Δ| to the trained model "
        f"{manifest.parity.source_max_abs_diff}",
        *(f"file      {name} {digest}" for name, digest in manifest.files.items()),
    ]
    figures = manifest.training.get("metrics")
    if figures:
        lines.append(f"metrics   {orjson.dumps(figures).decode()}")
    return "\n".join(lines)
