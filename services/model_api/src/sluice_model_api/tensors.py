"""Tensors of the Open Inference Protocol V2: datatypes, and Python values to numpy and back."""

from collections.abc import Sequence
from itertools import chain
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sluice_model_api.errors import RequestError

Array = NDArray[Any]

DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BYTES": np.dtype(object),
}
"""Datatype of the protocol to numpy's; BYTES are object arrays of ``str``, as ONNX Runtime's."""

_FLOAT_LIMITS: Final = {
    name: float(np.finfo(DTYPES[name]).max) for name in ("FP16", "FP32", "FP64")
}
_NUMBER = frozenset((int, float))
_ACCEPTED: Final[dict[str, tuple[frozenset[type], str]]] = {
    "b": (frozenset((bool,)), "true or false"),
    "u": (frozenset((int,)), "integers"),
    "i": (frozenset((int,)), "integers"),
    "f": (_NUMBER, "numbers"),
    "O": (frozenset((str,)), "strings"),
}
_JSON_NAMES: Final = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "list",
    dict: "object",
}


def json_name(value: object) -> str:
    """The JSON name of a parsed value's type, for messages."""
    return _JSON_NAMES.get(type(value), type(value).__name__)


def flatten(data: object, shape: Sequence[int], name: str) -> list[Any]:
    """The values of nested or flat row-major ``data`` in row-major order.

    Raises:
        RequestError: the nesting or the number of values does not match ``shape``.
    """
    if type(data) is not list:
        raise RequestError(f"input '{name}': data must be a list, got {json_name(data)}")
    count = prod(shape)
    if data and type(data[0]) is list:
        level: list[Any] = [data]
        for depth, size in enumerate(shape):
            for item in level:
                if type(item) is not list or len(item) != size:
                    got = len(item) if type(item) is list else json_name(item)
                    raise RequestError(
                        f"input '{name}': data does not have the stated shape {list(shape)}: "
                        f"dimension {depth} should hold {size} values, got {got}"
                    )
            level = list(chain.from_iterable(level))
        return level
    if len(data) != count:
        raise RequestError(
            f"input '{name}': shape {list(shape)} needs {count} values, data has {len(data)}"
        )
    return data


def from_values(flat: list[Any], shape: Sequence[int], datatype: str, name: str) -> Array:
    """Row-major JSON values as an array of ``datatype``; nothing is cast that loses meaning.

    Raises:
        RequestError: a value of the wrong type, or one that does not fit the datatype.
    """
    dtype = DTYPES[datatype]
    accepted, expected = _ACCEPTED[dtype.kind]
    if not accepted.issuperset(map(type, flat)):
        wrong = next(value for value in flat if type(value) not in accepted)
        raise RequestError(
            f"input '{name}': datatype {datatype} takes {expected}, got {json_name(wrong)}"
        )
    limit = _FLOAT_LIMITS.get(datatype)
    try:
        # Compared as Python numbers first: the cast itself would warn and give infinity.
        if limit is not None and flat and not (-limit <= min(flat) and max(flat) <= limit):
            raise OverflowError
        return np.array(flat, dtype=dtype).reshape(shape)
    except OverflowError as error:
        raise RequestError(f"input '{name}': a value does not fit in {datatype}") from error


def from_bytes(raw: bytes | memoryview, shape: Sequence[int], datatype: str, name: str) -> Array:
    """A raw little-endian tensor as an array; BYTES elements are length-prefixed UTF-8.

    Raises:
        RequestError: the bytes are not exactly the tensor that ``shape`` states.
    """
    count = prod(shape)
    if datatype == "BYTES":
        return _strings(bytes(raw), count, name).reshape(shape)
    dtype = DTYPES[datatype]
    if len(raw) != count * dtype.itemsize:
        raise RequestError(
            f"input '{name}': shape {list(shape)} of {datatype} needs {count * dtype.itemsize} "
            f"bytes, binary_data_size is {len(raw)}"
        )
    if datatype == "BOOL":
        # Any other byte than 0 and 1 would be an invalid C bool inside numpy and ONNX Runtime.
        flags: Array = np.frombuffer(raw, dtype=np.uint8) != 0
        return flags.reshape(shape)
    return np.frombuffer(raw, dtype=dtype).reshape(shape)


def _strings(raw: bytes, count: int, name: str) -> Array:
    if count * 4 > len(raw):
        raise RequestError(f"input '{name}': {count} BYTES elements do not fit in {len(raw)} bytes")
    array = np.empty(count, dtype=object)
    offset = 0
    for index in range(count):
        start = offset + 4
        offset = start + int.from_bytes(raw[offset:start], "little")
        if start > len(raw) or offset > len(raw):
            raise RequestError(f"input '{name}': BYTES element {index} runs past the end")
        try:
            array[index] = raw[start:offset].decode()
        except UnicodeDecodeError as error:
            raise RequestError(f"input '{name}': BYTES element {index} is not UTF-8") from error
    if offset != len(raw):
        raise RequestError(
            f"input '{name}': {len(raw) - offset} bytes are left after {count} BYTES elements"
        )
    return array


def to_bytes(array: Array, datatype: str) -> bytes:
    """The raw little-endian form of an output, as the binary tensor extension sends it."""
    if datatype == "BYTES":
        parts = []
        for value in array.ravel().tolist():
            encoded = str(value).encode()
            parts.append(len(encoded).to_bytes(4, "little") + encoded)
        return b"".join(parts)
    return np.ascontiguousarray(array, dtype=DTYPES[datatype]).tobytes()


def cell(value: Any) -> Any:
    """One row of an output as orjson writes it: a scalar, or a flat list of several values."""
    if isinstance(value, np.ndarray):
        if value.size != 1:
            return value.ravel().tolist() if value.dtype == object else value.ravel()
        value = value.flat[0]
    # ONNX Runtime's 64-bit integers are numpy's longlong, a scalar that orjson does not know.
    return value.item() if isinstance(value, np.integer | np.bool_) else value
