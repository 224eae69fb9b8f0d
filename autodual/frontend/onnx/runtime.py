"""Running ONNX models as they are written: in onnxruntime where that is installed and can, else in onnx' reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

Run = Callable[[Mapping[str, np.ndarray]], list[Any]]


def find_runtime(model: onnx.ModelProto, outputs: list[str] | None = None) -> tuple[str, Run]:
    """The runtime's name, and a function from inputs by name to the outputs.

    Raises errors of the runtimes' own kinds where neither can read the model.
    """
    try:
        onnxruntime = import_module("onnxruntime")
    except ImportError:
        return _reference(model, outputs)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    # Its rewritings round differently: products with quantised weights become products of whole numbers.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # it raises errors of its own kinds for models that it cannot read
        return _reference(model, outputs)
    return f"onnxruntime {onnxruntime.__version__}", lambda feeds: session.run(outputs, dict(feeds))


def _reference(model: onnx.ModelProto, outputs: list[str] | None) -> tuple[str, Run]:
    import onnx
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(model)

    def run(feeds: Mapping[str, np.ndarray]) -> list[Any]:
        with np.errstate(all="ignore"):
            found: Any = evaluator.run(outputs, dict(feeds))
        return found

    return f"the reference of onnx {onnx.__version__}", run
