"""From ONNX files to the graph: a direct lowering of ONNX operators, one rule an operator.

Needs the packages of the extra `onnx` only where a file is loaded, not where this package is imported.
"""

from autodual.frontend.onnx import rules  # noqa: F401 - imported for the rules that it registers
from autodual.frontend.onnx.agreement import Agreement
from autodual.frontend.onnx.external import ExternalFile
from autodual.frontend.onnx.loading import load_onnx, load_onnx_bytes
from autodual.frontend.onnx.network import OnnxNetwork
from autodual.frontend.onnx.registry import onnx_op

__all__ = ["Agreement", "ExternalFile", "OnnxNetwork", "load_onnx", "load_onnx_bytes", "onnx_op"]
