"""The manifest of a bundle: everything that is known about a model besides its weights."""

from typing import Annotated, Any, Final, Literal

import msgspec
import orjson
from msgspec import Meta, field

from sluice_model_api.errors import BundleError
from sluice_model_api.tensors import DTYPES

MANIFEST = "manifest.json"
FORMAT: Final = 1

Name = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,126}[a-zA-Z0-9])?\Z")]
Sha256 = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a manifest consists of: checked when it is read, see :func:`parse_manifest`."""


class TensorSpec(_Part, frozen=True, kw_only=True):
    """A tensor as the protocol describes it; the first dimension is rows (``-1``)."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    datatype: str
    shape: Annotated[tuple[int, ...], Meta(min_length=1, max_length=8)]

    def __post_init__(self) -> None:
        if self.datatype not in DTYPES:
            raise ValueError(f"datatype {self.datatype!r} is not one of {', '.join(DTYPES)}")
        if self.shape[0] != -1 or any(size < 1 for size in self.shape[1:]):
            raise ValueError(f"shape {list(self.shape)}: rows first (-1), then fixed sizes")


class InputSpec(TensorSpec, frozen=True, kw_only=True):
    """An input and the contract its values must keep, for every way into the model."""

    description: str = ""
    minimum: float | None = None
    """Least value allowed."""
    above: float | None = None
    """Values must be greater than this."""
    maximum: float | None = None
    """Greatest value allowed."""
    format: Literal["datetime"] | None = None
    """``datetime``: ISO 8601 text without zone, local time of the trip."""
    finite: bool = True
    """Refuse NaN and infinity."""
    aliases: tuple[str, ...] = ()
    """Names that the field has in tables (TLC's column names), for batch and stream."""


class FeatureRef(_Part, frozen=True, kw_only=True):
    """The function that turns inputs into the model's tensors, pinned by the hash of its code."""

    id: str
    sha256: Sha256


class Parity(_Part, frozen=True, kw_only=True):
    """Inputs with the outputs they must give, checked before the model counts as ready."""

    inputs: dict[str, list[Any]]
    """Row-major values per input."""
    outputs: dict[str, list[Any]]
    rows: Annotated[int, Meta(ge=1)]
    rtol: float = 1e-5
    atol: float = 1e-5
    source_max_abs_diff: float | None = None
    """Largest difference between the converted model and the one that was trained."""


class Histogram(_Part, frozen=True, kw_only=True):
    """Reference distribution of a feature or prediction in the training data."""

    edges: tuple[float, ...]
    """Ascending, one more than ``counts``; values outside fall into the first or last bin."""
    counts: tuple[int, ...]


class Manifest(_Part, frozen=True, kw_only=True):
    """The whole ``manifest.json``. Its sha256 is the digest of the bundle.

    No wall clock is in it: the same data and code give the same digest.
    """

    format: Literal[1] = FORMAT
    name: Name
    version: Name
    description: str = ""
    platform: Literal["onnx_onnxv1", "skops_sklearn"]
    model_file: Literal["model.onnx", "model.skops"]
    files: dict[str, Sha256]
    """Every file of the bundle but the manifest, with its sha256."""
    inputs: Annotated[tuple[InputSpec, ...], Meta(min_length=1)]
    outputs: Annotated[tuple[TensorSpec, ...], Meta(min_length=1)]
    features: FeatureRef
    parity: Parity
    trusted_types: tuple[str, ...] = ()
    """Types that a skops file may make; each must be allowed by the server as well."""
    training: dict[str, Any] = field(default_factory=dict)
    """Where the model comes from: data, rows, period, split, metrics."""
    reference: dict[str, Histogram] = field(default_factory=dict)
    """Histograms of features and predictions (``prediction.<output>``) for drift."""
    created_by: dict[str, str] = field(default_factory=dict)
    """Versions of what built the bundle."""

    def __post_init__(self) -> None:
        if self.model_file not in self.files:
            raise ValueError(f"files: {self.model_file} is missing")
        expected = {"onnx_onnxv1": "model.onnx", "skops_sklearn": "model.skops"}[self.platform]
        if self.model_file != expected:
            raise ValueError(f"platform {self.platform} needs {expected}")
        for kind, tensors in (("inputs", self.inputs), ("outputs", self.outputs)):
            names = [tensor.name for tensor in tensors]
            if len(set(names)) != len(names):
                raise ValueError(f"{kind}: a name appears twice")
            given = self.parity.inputs if kind == "inputs" else self.parity.outputs
            if set(given) != set(names):
                raise ValueError(f"parity.{kind}: must be exactly {', '.join(sorted(names))}")


def parse_manifest(raw: bytes, origin: str) -> Manifest:
    """A manifest from its file.

    Raises:
        BundleError: what is wrong with it and where; ``origin`` names the bundle.
    """
    try:
        return msgspec.json.decode(raw, type=Manifest)
    except msgspec.ValidationError as error:
        raise BundleError(f"{origin}: {MANIFEST}: {error}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise BundleError(f"{origin}: {MANIFEST}: not valid JSON: {error}") from error


def manifest_bytes(manifest: Manifest) -> bytes:
    """The file of a manifest: the same manifest, the same bytes."""
    return orjson.dumps(
        msgspec.to_builtins(manifest), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )
