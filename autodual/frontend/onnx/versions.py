"""Which version of the ONNX operators a file is written in, which gives their attributes and operands meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autodual.errors import ModelFileError
from autodual.frontend.onnx.legal_names import STANDARD

if TYPE_CHECKING:
    import onnx

OLDEST = 7
UNSTATED = 1


def opset_of(part: onnx.ModelProto | onnx.FunctionProto) -> int:
    """The version of the standard operators; 1 where the file does not say."""
    return max((entry.version for entry in part.opset_import if entry.domain in STANDARD), default=UNSTATED)


def require_version(name: str, model: onnx.ModelProto) -> None:
    """Refuse a version that is unknown, and files that state two.

    Raises:
        ModelFileError: the version is too old or too new, or there are two.
    """
    from onnx import defs

    if len({entry.version for entry in model.opset_import if entry.domain in STANDARD}) > 1:
        raise ModelFileError(f"'{name}' is damaged: it states two versions of the ONNX operators.")
    opset, newest = opset_of(model), defs.onnx_opset_version()
    if not OLDEST <= opset <= newest:
        raise ModelFileError(
            f"'{name}' uses version {opset} of the ONNX operators; versions {OLDEST} to {newest} are supported, so "
            "export the network again."
        )
