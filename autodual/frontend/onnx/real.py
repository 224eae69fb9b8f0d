"""Which tensors of an ONNX file hold numbers that bounds can be computed with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autodual.errors import ModelFileError
from autodual.frontend.onnx.messages import tensors

if TYPE_CHECKING:
    import onnx

_REFUSED = ("COMPLEX", "FLOAT8", "FLOAT4")


def require_real(name: str, model: onnx.ModelProto) -> None:
    """Raise ModelFileError where a tensor anywhere is complex, or of a type so narrow that it only stores numbers.

    The network casts such a tensor, which makes other numbers of it.
    """
    from onnx import TensorProto

    for tensor in tensors(model):
        known = tensor.data_type in TensorProto.DataType.values()
        kind = TensorProto.DataType.Name(tensor.data_type) if known else ""
        if kind.startswith(_REFUSED):
            raise ModelFileError(
                f"'{name}' holds the tensor '{tensor.name}' of {kind.lower()} numbers, which bounds cannot use; export "
                "the network with real numbers, such as float32."
            )
