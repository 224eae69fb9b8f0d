"""Which tensors of an ONNX file hold numbers that bounds can be computed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autodual.errors import ModelFileError

if TYPE_CHECKING:
    import onnx

_REFUSED = ("COMPLEX", "FLOAT8", "FLOAT4")


def require_real(name: str, tensor: onnx.TensorProto) -> None:
    """Raise ModelFileError where a tensor is complex, or of a type so narrow that it only stores numbers."""
    from onnx import TensorProto

    kind = TensorProto.DataType.Name(tensor.data_type) if tensor.data_type in TensorProto.DataType.values() else ""
    if kind.startswith(_REFUSED):
        raise ModelFileError(
            f"'{name}' holds the tensor '{tensor.name}' of {kind.lower()} numbers, which bounds cannot use; "
            "export the network with real numbers, such as float32."
        )
