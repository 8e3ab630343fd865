"""What runs a model file: ONNX Runtime first, skops where a model does not convert."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np

from sluice_model_api.bundle.archive import Bundle
from sluice_model_api.errors import BundleError, RequestError
from sluice_model_api.tensors import DTYPES, Array


class Backend(Protocol):
    """A loaded model file."""

    fast: bool
    """A row takes microseconds: few rows may run inside the event loop."""

    def run(self, tensors: Mapping[str, Array]) -> Sequence[Array]:
        """Outputs in the manifest's order, shape (rows, …)."""
        ...


class OnnxBackend:
    """ONNX Runtime on one thread."""

    fast = True

    def __init__(self, bundle: Bundle) -> None:
        import onnxruntime as ort  # a bundle of skops needs none of it

        options = ort.SessionOptions()
        # Two threads of two sessions on two cores thrash; replicas are how a model scales.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        try:
            session = ort.InferenceSession(
                bundle.model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ORT's errors have no common base of their own
            raise BundleError(f"{bundle.origin}: not a usable ONNX model: {error}") from error
        found = {output.name for output in session.get_outputs()}
        self._names = [output.name for output in bundle.manifest.outputs]
        missing = [name for name in self._names if name not in found]
        if missing:
            raise BundleError(
                f"{bundle.origin}: the manifest names output {missing[0]!r}, "
                f"the model has {', '.join(sorted(found))}"
            )
        # The wrapper around it looks for OrtValues among the inputs on every call: 5 µs.
        self._run = getattr(session, "_sess", session).run

    def run(self, tensors: Mapping[str, Array]) -> Sequence[Array]:
        outputs: Sequence[Array] = self._run(self._names, tensors, None)
        return outputs


ALLOWED_TYPES: Final = frozenset(
    {
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.link.LogLink",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn._loss._loss.CyHalfSquaredError",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.ensemble._gb_losses.LeastSquaresError",
        "numpy.dtype",
    }
)
"""Types beyond skops' own list that a bundle may name without ``MODEL_API_TRUSTED_TYPES``."""


class SkopsBackend:
    """A scikit-learn model in skops form: exact, but some 200 µs a call."""

    fast = False

    def __init__(self, bundle: Bundle, *, trusted: Sequence[str]) -> None:
        try:
            import skops.io  # an extra: ONNX bundles need no scikit-learn
        except ImportError as error:
            raise BundleError(
                f"{bundle.origin}: a skops bundle needs the extra sluice-model-api[skops]"
            ) from error
        allowed = ALLOWED_TYPES.union(trusted)
        refused = [name for name in bundle.manifest.trusted_types if name not in allowed]
        if refused:
            raise BundleError(
                f"{bundle.origin}: the bundle asks to trust {', '.join(refused)}; "
                "allow it with MODEL_API_TRUSTED_TYPES if you know what it does"
            )
        try:
            self._estimator: Any = skops.io.loads(
                bundle.model, trusted=list(bundle.manifest.trusted_types)
            )
        except Exception as error:  # whatever a hostile file makes the reader raise
            raise BundleError(f"{bundle.origin}: not a usable skops model: {error}") from error
        self._output = bundle.manifest.outputs[0]

    def run(self, tensors: Mapping[str, Array]) -> Sequence[Array]:
        if len(tensors) != 1:
            raise RequestError("a skops model takes one matrix of features")
        matrix = next(iter(tensors.values()))
        predicted = np.asarray(self._estimator.predict(matrix))
        shape = (len(matrix), *self._output.shape[1:])
        return [predicted.astype(DTYPES[self._output.datatype]).reshape(shape)]


def open_backend(bundle: Bundle, *, trusted: Sequence[str] = ()) -> Backend:
    """Load the model file of a verified bundle.

    Args:
        bundle: What :func:`read_bundle` returned.
        trusted: Types that a skops file may make besides the built-in list.

    Raises:
        BundleError: the file is not a model, or needs what is not there or not trusted.
    """
    if bundle.manifest.platform == "onnx_onnxv1":
        return OnnxBackend(bundle)
    return SkopsBackend(bundle, trusted=trusted)
