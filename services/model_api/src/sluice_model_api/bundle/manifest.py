"""The manifest of a bundle: everything that is known about a model besides its weights."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sluice_model_api.tensors import DTYPES

MANIFEST = "manifest.json"
FORMAT: Final = 1

Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,126}[a-zA-Z0-9])?$")]
Sha256 = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TensorSpec(_Part):
    """A tensor as the protocol describes it; the first dimension is rows (``-1``)."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    datatype: str
    shape: Annotated[tuple[int, ...], Field(min_length=1, max_length=8)]

    @model_validator(mode="after")
    def _known(self) -> "TensorSpec":
        if self.datatype not in DTYPES:
            raise ValueError(f"datatype {self.datatype!r} is not one of {', '.join(DTYPES)}")
        if self.shape[0] != -1 or any(size < 1 for size in self.shape[1:]):
            raise ValueError(f"shape {list(self.shape)}: rows first (-1), then fixed sizes")
        return self


class InputSpec(TensorSpec):
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


class FeatureRef(_Part):
    """The function that turns inputs into the model's tensors, pinned by the hash of its code."""

    id: str
    sha256: Sha256


class Parity(_Part):
    """Inputs with the outputs they must give, checked before the model counts as ready."""

    inputs: dict[str, list[Any]]
    """Row-major values per input."""
    outputs: dict[str, list[Any]]
    rows: Annotated[int, Field(ge=1)]
    rtol: float = 1e-5
    atol: float = 1e-5
    source_max_abs_diff: float | None = None
    """Largest difference between the converted model and the one that was trained."""


class Histogram(_Part):
    """Reference distribution of a feature or prediction in the training data."""

    edges: tuple[float, ...]
    """Ascending, one more than ``counts``; values outside fall into the first or last bin."""
    counts: tuple[int, ...]


class Manifest(_Part):
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
    inputs: Annotated[tuple[InputSpec, ...], Field(min_length=1)]
    outputs: Annotated[tuple[TensorSpec, ...], Field(min_length=1)]
    features: FeatureRef
    parity: Parity
    trusted_types: tuple[str, ...] = ()
    """Types that a skops file may make; each must be allowed by the server as well."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Where the model comes from: data, rows, period, split, metrics."""
    reference: dict[str, Histogram] = Field(default_factory=dict)
    """Histograms of features and predictions (``prediction.<output>``) for drift."""
    created_by: dict[str, str] = Field(default_factory=dict)
    """Versions of what built the bundle."""

    @model_validator(mode="after")
    def _consistent(self) -> "Manifest":
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
        return self
