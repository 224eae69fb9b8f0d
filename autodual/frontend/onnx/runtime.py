"""Running ONNX models as they are written: in onnxruntime if installed, else in onnx' reference implementation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from autodual.frontend.onnx.liveness import live_model
from autodual.frontend.onnx.versions import opset_of
from autodual.ir.ops import ElementwiseOp
from autodual.ir.scalars import declarations
from autodual.ir.scalars.declaration import FromAttributes

if TYPE_CHECKING:
    import onnx

Run = Callable[[Mapping[str, np.ndarray]], list[Any]]


class Runtime(NamedTuple):
    """A runtime's name, and a function from inputs by name to the outputs."""

    name: str
    run: Run

    @property
    def decides(self) -> bool:
        """Whether its outputs count as right: the reference implementation has faults of its own."""
        return self.name.startswith("onnxruntime")


class Session:
    """A model in onnxruntime, as it is written: nothing in it is rewritten."""

    def __init__(self, content: bytes):
        """Raises ImportError where onnxruntime is not installed, and its own errors for what it cannot read."""
        onnxruntime = import_module("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        # Its rewritings round differently: products with quantised weights become products of whole numbers.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._how = onnxruntime.RunOptions()
        self._how.log_severity_level = 4
        self.name = f"onnxruntime {onnxruntime.__version__}"
        self.inputs: list[Any] = self._session.get_inputs()

    def run(self, outputs: list[str] | None, feeds: Mapping[str, np.ndarray]) -> list[Any]:
        """The outputs of these names, by default all, for inputs by name."""
        found: list[Any] = self._session.run(outputs, dict(feeds), self._how)
        return found


def find_runtime(model: onnx.ModelProto, outputs: list[str] | None = None, content: bytes | None = None) -> Runtime:
    """The best runtime that reads a model.

    content: what onnxruntime is given, if it is not the model's own bytes.

    Raises errors of the runtimes' own kinds where none can read the model.
    """
    try:
        session = Session(model.SerializeToString() if content is None else content)
    except Exception:  # it is not installed, or raises errors of its own kinds for models that it cannot read
        return _reference(model, outputs)
    return Runtime(session.name, lambda feeds: session.run(outputs, feeds))


def _reference(model: onnx.ModelProto, outputs: list[str] | None) -> Runtime:
    import onnx
    from onnx.reference import ReferenceEvaluator

    model = model if outputs is None else live_model(model, outputs)
    evaluator = ReferenceEvaluator(model, new_ops=[*_corrections(opset_of(model)), *_declared()])

    def run(feeds: Mapping[str, np.ndarray]) -> list[Any]:
        with np.errstate(all="ignore"):
            found: Any = evaluator.run(outputs, dict(feeds))
        return found

    return Runtime(f"the reference of onnx {onnx.__version__}", run)


def _corrections(opset: int) -> list[type]:
    """Replacements for wrong operators of the reference implementation: before version 14 its batch norm trains."""
    from onnx.reference.op_run import OpRun

    class BatchNormalization(OpRun):
        def _run(self, x, scale, bias, mean, var, epsilon=None, **_):
            scale, bias, mean, var = (entries.reshape(-1, *[1] * (x.ndim - 2)) for entries in (scale, bias, mean, var))
            return ((scale * (x - mean) / np.sqrt(var + epsilon) + bias).astype(x.dtype),)

    return [BatchNormalization] if opset < 14 else []


def _declared() -> list[type]:
    """Operators of other domains that are declared as functions of one scalar: their own functions stand for them."""
    from onnx.reference.op_run import OpRun

    def operator(name: str, make: FromAttributes) -> type:
        def run(self: Any, x: np.ndarray, **attributes: Any) -> tuple[np.ndarray]:
            op = make(attributes)
            assert isinstance(op, ElementwiseOp)
            return (op.function(torch.from_numpy(x)).numpy(),)

        domain, _, kind = name.rpartition("::")
        return type(kind, (OpRun,), {"op_domain": domain, "_run": run})

    entries = [entry for entry in declarations() if issubclass(entry.op, ElementwiseOp)]
    return [operator(name, make) for entry in entries for name, make in entry.onnx.items() if "::" in name]
