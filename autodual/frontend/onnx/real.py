"""Which tensors of an ONNX file hold numbers that bounds can be computed with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from autodual.errors import ModelFileError

if TYPE_CHECKING:
    import onnx

_REFUSED = ("COMPLEX", "FLOAT8", "FLOAT4")


def require_real(name: str, model: onnx.ModelProto) -> None:
    """Raise ModelFileError where a tensor anywhere is complex, or of a type so narrow that it only stores numbers.

    A cast in the network would make other numbers of it before anything here saw it.
    """
    from onnx import TensorProto

    for tensor in _tensors(model):
        known = tensor.data_type in TensorProto.DataType.values()
        kind = TensorProto.DataType.Name(tensor.data_type) if known else ""
        if kind.startswith(_REFUSED):
            raise ModelFileError(
                f"'{name}' holds the tensor '{tensor.name}' of {kind.lower()} numbers, which bounds cannot use; export "
                "the network with real numbers, such as float32."
            )


def _tensors(model: Any) -> Iterator[Any]:
    """All tensors in a model, in whatever they are nested."""
    waiting = [model]
    while waiting:
        message = waiting.pop()
        if message.DESCRIPTOR.name == "TensorProto":
            yield message
            continue
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting.extend((value,) if hasattr(value, "ListFields") else value)
