"""The entries of a tensor in an ONNX file, once its shape and type are seen to fit what it holds."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from autodual.errors import ModelFileError

if TYPE_CHECKING:
    import onnx

_PARTS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
"""Where a tensor can keep its entries, besides `raw_data`."""
_NARROW = {"UINT2": 2, "INT2": 2, "UINT4": 4, "INT4": 4, "FLOAT4E2M1": 4, "FLOAT6E2M3": 6, "FLOAT6E3M2": 6}
"""Bits of the types of which several entries share a byte."""


def stated_bytes(name: str, tensor: onnx.TensorProto) -> int | None:
    """How many bytes the entries of a tensor of its shape and type take; None if they are texts or of no known type.

    Raises:
        ModelFileError: an extent is negative.
    """
    if any(extent < 0 for extent in tensor.dims):
        raise ModelFileError(f"'{name}' is damaged: the tensor '{tensor.name}' has a negative extent.")
    bits = _bits(tensor)
    return None if bits is None else -(-prod(tensor.dims) * bits // 8)


def array_of(name: str, tensor: onnx.TensorProto) -> np.ndarray:
    """The entries of a tensor.

    Raises:
        ModelFileError: they do not fit its type and shape.
    """
    from onnx import numpy_helper

    stated = stated_bytes(name, tensor)
    stored = sum(len(getattr(tensor, part)) for part in _PARTS)
    if tensor.HasField("raw_data"):
        fits = stated == len(tensor.raw_data) and not stored
    else:
        fits = prod(tensor.dims) <= 8 * stored  # the narrowest types keep eight entries in a number
    try:
        if fits:
            return np.asarray(numpy_helper.to_array(tensor))
    except Exception:  # the package raises errors of many kinds
        pass
    raise ModelFileError(f"'{name}' is damaged: the tensor '{tensor.name}' does not have its stated size.")


def _bits(tensor: onnx.TensorProto) -> int | None:
    """Bits of one entry in `raw_data`."""
    from onnx import TensorProto, helper

    if tensor.data_type in (TensorProto.UNDEFINED, TensorProto.STRING):
        return None
    try:
        kind = TensorProto.DataType.Name(tensor.data_type)
        return _NARROW.get(kind) or 8 * np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    except (KeyError, TypeError, ValueError):
        return None
