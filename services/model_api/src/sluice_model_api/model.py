"""A bundle that is loaded and proven: the one object that web, batch and stream score with."""

from collections.abc import Mapping, Sequence
from math import isfinite, prod
from typing import Any

import numpy as np

from sluice_model_api.backends import open_backend
from sluice_model_api.bundle.archive import Bundle
from sluice_model_api.bundle.manifest import Manifest
from sluice_model_api.contract import Contract
from sluice_model_api.errors import BundleError, RequestError
from sluice_model_api.features import feature_digest, feature_function
from sluice_model_api.tensors import DTYPES, Array, from_values


class Model:
    """One version of one model, ready to score.

    Building it verifies the bundle's feature function, its parity sample and the shapes of its
    outputs, and thereby warms it up.

    Raises:
        BundleError: the bundle does not do what its manifest says.
    """

    def __init__(self, bundle: Bundle, *, trusted: Sequence[str] = ()) -> None:
        manifest = bundle.manifest
        self.manifest: Manifest = manifest
        self.name = manifest.name
        self.version = manifest.version
        self.digest = bundle.digest
        self.contract = Contract(manifest.inputs)
        self.output_names = tuple(output.name for output in manifest.outputs)
        self.json_outputs = [(name, False) for name in self.output_names]
        """All outputs as JSON: what is answered unless something else is asked for."""
        self._datatypes = {output.name: output.datatype for output in manifest.outputs}
        found = feature_digest(manifest.features.id)
        if found != manifest.features.sha256:
            raise BundleError(
                f"{bundle.origin}: feature function {manifest.features.id} is not the one that "
                f"the model was trained with ({found}, manifest {manifest.features.sha256}); "
                "build the bundle again"
            )
        self._prepare = feature_function(manifest.features.id)
        self._backend = open_backend(bundle, trusted=trusted)
        self.fast = self._backend.fast
        scalars = [output for output in manifest.outputs if prod(output.shape[1:]) == 1]
        self.single = len(manifest.outputs) == 1 and len(scalars) == 1
        """One number per row: ``/predict`` answers it bare, without its name."""
        self._verify_parity(bundle)

    def score(self, columns: Mapping[str, Array]) -> dict[str, Array]:
        """Predictions for checked columns.

        Args:
            columns: One array per input, shape (rows, …), that kept the contract.

        Returns:
            Every output by name, shape (rows, …).

        Raises:
            RequestError: the inputs lead the model to NaN or infinity.
        """
        outputs = dict(
            zip(self.output_names, self._backend.run(self._prepare(columns)), strict=True)
        )
        for name, array in outputs.items():
            if array.dtype.kind == "f" and not (
                isfinite(array.item()) if array.size == 1 else np.isfinite(array).all()
            ):
                raise RequestError(f"output '{name}' is not finite for these inputs")
        return outputs

    def datatype(self, output: str) -> str:
        """Datatype of an output."""
        return self._datatypes[output]

    def sample(self) -> dict[str, Array]:
        """The inputs of the parity sample: rows that the model is known to take."""
        parity = self.manifest.parity
        return {
            spec.name: from_values(
                list(parity.inputs[spec.name]),
                (parity.rows, *spec.shape[1:]),
                spec.datatype,
                spec.name,
            )
            for spec in self.manifest.inputs
        }

    def _verify_parity(self, bundle: Bundle) -> None:
        parity = self.manifest.parity
        try:
            columns = self.sample()
            self.contract.check_columns(columns)
            outputs = self.score(columns)
        except RequestError as error:
            raise BundleError(f"{bundle.origin}: parity sample: {error}") from error
        except Exception as error:  # the model file's own failure, in its own words
            raise BundleError(f"{bundle.origin}: the model does not run: {error}") from error
        for spec in self.manifest.outputs:
            self._verify_output(bundle.origin, spec.name, outputs[spec.name], spec.shape)
            found = outputs[spec.name]
            dtype = DTYPES[spec.datatype]
            expected = np.array(parity.outputs[spec.name], dtype=dtype).reshape(found.shape)
            if dtype.kind == "f":
                same = np.allclose(found, expected, rtol=parity.rtol, atol=parity.atol)
            else:
                same = bool(np.array_equal(found, expected))
            if not same:
                raise BundleError(f"{bundle.origin}: {_difference(spec.name, found, expected)}")

    def _verify_output(self, origin: str, name: str, found: Array, shape: tuple[int, ...]) -> None:
        expected = (self.manifest.parity.rows, *shape[1:])
        if found.shape != expected or found.dtype.kind != DTYPES[self.datatype(name)].kind:
            raise BundleError(
                f"{origin}: output {name!r} is {found.dtype} of shape {list(found.shape)}, "
                f"the manifest says {self.datatype(name)} of {list(expected)}"
            )


def _difference(name: str, found: Array, expected: Array) -> str:
    wrong: Any = found.ravel() != expected.ravel()
    index = int(np.flatnonzero(wrong)[0])
    return (
        f"parity failed: output {name!r} of the sample's value {index} is "
        f"{found.ravel()[index]!s}, the manifest says {expected.ravel()[index]!s}"
    )
