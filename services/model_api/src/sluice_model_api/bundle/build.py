"""Makes bundles: converts a fitted scikit-learn model, proves the conversion, writes the files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from sluice_model_api.bundle.archive import Bundle, read_bundle, sha256
from sluice_model_api.bundle.manifest import (
    MANIFEST,
    FeatureRef,
    Histogram,
    InputSpec,
    Manifest,
    Parity,
    TensorSpec,
    manifest_bytes,
    parse_manifest,
)
from sluice_model_api.bundle.place import write_bundle
from sluice_model_api.errors import BundleError
from sluice_model_api.features import feature_digest, prepare_features
from sluice_model_api.model import Model
from sluice_model_api.tensors import Array

SAMPLE_ROWS = 16
MAX_PARITY_DIFF = 1e-4
"""Largest |converted − trained| over the parity rows, relative to max(1, |trained|)."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a bundle is made from."""

    name: str
    version: str
    estimator: Any
    """A fitted scikit-learn regressor or pipeline; ``predict(matrix)`` gives one value a row."""
    feature_function: str
    inputs: Sequence[InputSpec]
    output: str
    columns: Mapping[str, Array]
    """Rows for parity, warm-up and reference histograms, by input; the first few are kept."""
    description: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    feature_names: Sequence[str] = ()
    """Names of the matrix' columns, for the reference histograms."""
    extra_files: Mapping[str, bytes] = field(default_factory=dict)
    """Files to go along, such as the model card."""
    force_skops: bool = False
    trusted_types: Sequence[str] = ()
    """Types that the skops file may hold, named by a person; never taken from the file."""


def build_bundle(recipe: Recipe, folder: Path) -> Bundle:
    """Write a bundle and read it back as the server will.

    Raises:
        BundleError: the model converts to neither ONNX nor skops, or the conversion answers
            differently from the trained model by more than ``MAX_PARITY_DIFF``.
    """
    tensors = prepare_features(recipe.feature_function, recipe.columns)
    if len(tensors) != 1:
        raise BundleError(f"{recipe.name}: a scikit-learn model takes one matrix of features")
    (tensor, matrix), *_ = tensors.items()
    expected = np.asarray(recipe.estimator.predict(matrix)).reshape(-1, 1)
    platform, model_file, content, note = _convert(recipe, tensor, matrix.shape[1])
    output = TensorSpec(name=recipe.output, datatype="FP32", shape=(-1, 1))
    files = {model_file: content, **recipe.extra_files}
    rows = min(SAMPLE_ROWS, len(matrix))

    def manifest_of(diff: float | None) -> Manifest:
        made = Manifest(
            name=recipe.name,
            version=recipe.version,
            description=recipe.description,
            platform=platform,
            model_file=model_file,
            files={name: sha256(data) for name, data in sorted(files.items())},
            inputs=tuple(recipe.inputs),
            outputs=(output,),
            features=FeatureRef(
                id=recipe.feature_function, sha256=feature_digest(recipe.feature_function)
            ),
            parity=Parity(
                inputs={
                    spec.name: recipe.columns[spec.name][:rows].ravel().tolist()
                    for spec in recipe.inputs
                },
                outputs={recipe.output: expected[:rows].astype(np.float32).ravel().tolist()},
                rows=rows,
                rtol=MAX_PARITY_DIFF,
                atol=MAX_PARITY_DIFF,
                source_max_abs_diff=diff,
            ),
            trusted_types=tuple(recipe.trusted_types) if platform == "skops_sklearn" else (),
            training={**recipe.training, **({"conversion": note} if note else {})},
            reference=_reference(recipe, matrix, expected),
            created_by=_versions(),
        )
        # A class made directly takes what it is given: as it would be read, every value is checked.
        return parse_manifest(manifest_bytes(made), recipe.name)

    draft = Bundle(origin=str(folder), digest="", manifest=manifest_of(None), files=files)
    found = Model(draft, trusted=recipe.trusted_types).score(recipe.columns)[recipe.output]
    diff = float(np.max(np.abs(found - expected)))
    relative = float(np.max(np.abs(found - expected) / np.maximum(1, np.abs(expected))))
    if relative > MAX_PARITY_DIFF:
        raise BundleError(
            f"{recipe.name}: the {platform} model differs from the trained one by up to "
            f"{diff:.3g} ({relative:.3g} relative, {MAX_PARITY_DIFF} allowed)"
        )
    write_bundle(folder, {**files, MANIFEST: manifest_bytes(manifest_of(round(diff, 9)))})
    return read_bundle(folder)


def _convert(recipe: Recipe, tensor: str, width: int) -> tuple[Any, Any, bytes, str]:
    """Platform, file name, content, and why it is not ONNX when it is not."""
    if recipe.force_skops:
        return "skops_sklearn", "model.skops", _skops(recipe), "skops was asked for"
    try:
        return "onnx_onnxv1", "model.onnx", _onnx(recipe, tensor, width), ""
    except Exception as error:  # noqa: BLE001  # converters raise whatever they run into
        reason = f"skops because ONNX conversion failed: {type(error).__name__}: {error}"
        return "skops_sklearn", "model.skops", _skops(recipe), " ".join(reason.split())[:500]


def _onnx(recipe: Recipe, tensor: str, width: int) -> bytes:
    from skl2onnx import convert_sklearn  # the extra `train`, never in serving
    from skl2onnx.common.data_types import FloatTensorType

    model = convert_sklearn(
        recipe.estimator,
        name=recipe.name,  # the default is a random id: the digest would change every time
        initial_types=[(tensor, FloatTensorType([None, width]))],
        final_types=[(recipe.output, FloatTensorType([None, 1]))],
        target_opset=17,
    )
    # The converter lists the operator sets in the order of a set: sorted, the digest stays.
    opsets = sorted(model.opset_import, key=lambda opset: str(opset.domain))
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    return bytes(model.SerializeToString(deterministic=True))


def _skops(recipe: Recipe) -> bytes:
    import skops.io  # the extra `skops`

    content = bytes(skops.io.dumps(recipe.estimator))
    untrusted = set(skops.io.get_untrusted_types(data=content)) - set(recipe.trusted_types)
    if untrusted:
        raise BundleError(
            f"{recipe.name}: the model holds types that nobody has trusted: "
            f"{', '.join(sorted(untrusted))}; name them if you know what they do (--trust)"
        )
    return content


def _reference(recipe: Recipe, matrix: Array, predicted: Array) -> dict[str, Histogram]:
    columns = {name: matrix[:, index] for index, name in enumerate(recipe.feature_names)}
    columns[f"prediction.{recipe.output}"] = predicted[:, 0]
    return {name: _histogram(values) for name, values in columns.items()}


def _histogram(values: Array) -> Histogram:
    """Up to ten bins of about equal counts; fewer where values repeat."""
    edges = np.unique(np.quantile(values.astype(np.float64), np.linspace(0, 1, 11)))
    if len(edges) == 1:
        edges = np.array([edges[0], edges[0] + 1.0])
    counts, _ = np.histogram(values, bins=edges)
    return Histogram(
        edges=tuple(round(float(edge), 6) for edge in edges), counts=tuple(map(int, counts))
    )


def _versions() -> dict[str, str]:
    found = {}
    for package in ("sluice-model-api", "scikit-learn", "skl2onnx", "onnx", "skops"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
