"""From a model that computes a fixed number of samples at once to one that computes the same for a single sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from autodual.errors import AutodualError
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import attributes_of
from autodual.frontend.onnx.batch.operation import Batched, Layout, Mixing, Operand, Operation
from autodual.frontend.onnx.batch.registry import batch_rule_for
from autodual.frontend.onnx.file_limits import Budget
from autodual.frontend.onnx.folding import folded
from autodual.frontend.onnx.legal_names import STANDARD, called, titled
from autodual.frontend.onnx.liveness import live_nodes, reads
from autodual.frontend.onnx.model_file import OnnxFile
from autodual.frontend.onnx.operands import Static
from autodual.frontend.onnx.single import alone, multiplications, typed_results
from autodual.frontend.onnx.stored_tensors import array_of
from autodual.frontend.onnx.versions import opset_of

if TYPE_CHECKING:
    import onnx

_BROADCASTS_AS_NUMPY = 7
"""The operator set since which operands are aligned from their last axes."""


def batch_size(shapes: Sequence[tuple[int, ...]]) -> int | None:
    """How many samples inputs of these shapes may hold along their first axes; None if these do not count samples."""
    sizes = {shape[0] for shape in shapes if len(shape) > 1}
    if len(sizes) != 1 or any(len(shape) < 2 for shape in shapes):
        return None
    (size,) = sizes
    return size if size > 1 else None


def for_one_sample(
    file: OnnxFile, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, np.dtype], output: str
) -> onnx.ModelProto:
    """The model for a single sample of a file whose inputs' first axes count samples.

    Args:
        file: its operators are those of `file.model`.
        shapes: those of the inputs by name, all with the same first extent.
        dtypes: of the inputs by name.
        output: the output wanted.

    Raises:
        Mixing: samples influence each other, or it cannot be shown that they do not.
        ModelFileError: the file is damaged, or asks for more than its budget.
    """
    return _Narrowing(file, next(iter(shapes.values()))[0]).run(shapes, dtypes, output)


class _Narrowing:
    """One walk over the operators that an output depends on."""

    def __init__(self, file: OnnxFile, batch: int):
        self._file = file
        self._batch = batch
        self._opset = opset_of(file.model)
        self._budget = Budget(file.name, file.size)
        self._values: dict[str, Batched | Static] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, str] = {}

    def run(
        self, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, np.dtype], output: str
    ) -> onnx.ModelProto:
        if self._opset < _BROADCASTS_AS_NUMPY:
            raise Mixing(f"operators of version {self._opset} do not say how they repeat their operands")
        graph = self._file.model.graph
        for name, shape in shapes.items():
            self._values[name] = Batched(shape, dtypes[name], Layout(len(shape) - 1))
        for tensor in graph.initializer:
            self._values.setdefault(tensor.name, Static(array_of(self._file.name, tensor), tensor.name))
        live = live_nodes(graph, {output})
        read = {output}.union(*(reads(node) for node in live))
        for node in live:
            try:
                self._add(node, read)
            except Mixing as reason:
                raise Mixing(f"the operator {called(node)} ({titled(node)}) does not allow it: {reason}") from None
        result = self._values.get(output)
        if not isinstance(result, Batched) or result.layout != Layout(len(result.shape) - 1):
            raise Mixing(f"the first axis of its output '{output}' does not count them")
        return self._model()

    def _add(self, node: onnx.NodeProto, read: set[str]) -> None:
        """The results of one operator, and the operator for one sample where it depends on the input."""
        if any(name and name not in self._values for name in node.input):
            raise Mixing("it reads a result that has no rule")
        operands: list[Operand] = [self._values[name] if name else None for name in node.input]
        try:
            constants = self._constant_results(node, operands)
            if constants is not None:
                self._values.update((name, value) for name, value in zip(node.output, constants) if name)
                return
            operation, dtypes = self._operation(node, operands, read)
            rule = batch_rule_for(node.op_type) if node.domain in STANDARD else None
            if rule is None:
                raise Mixing("no rule says where the samples are in its result")
            places = rule(operation)
        except (Mixing, AutodualError):
            raise
        except Unsupported as reason:
            raise Mixing(str(reason)) from None
        except Exception as error:  # files that say nonsense reach rules, too
            raise Mixing("its attributes and operands do not fit each other") from error
        layouts = places if isinstance(places, tuple) else (places,)
        self._emit(operation, node, operands)
        for name, shape, layout, dtype in zip(node.output, operation.shapes, layouts, dtypes):
            if name and layout is not None:
                operation.for_one(shape, layout)
                self._values[name] = Batched(shape, dtype, layout)

    def _constant_results(self, node: onnx.NodeProto, operands: Sequence[Any]) -> Sequence[Any] | None:
        """The results of an operator that do not depend on the input's values, or None if they do."""
        if node.op_type in ("Shape", "Size") and node.domain in STANDARD and isinstance(operands[0], Batched):
            attributes = attributes_of(self._file.name, node, self._opset, ())
            shape = operands[0].shape[attributes.get("start", 0) : attributes.get("end")]
            return [Static(np.array(shape if node.op_type == "Shape" else prod(operands[0].shape), dtype=np.int64))]
        if any(isinstance(operand, Batched) for operand in operands):
            return None
        return folded(self._file.name, node, self._file.model.opset_import, operands, self._budget)

    def _operation(
        self, node: onnx.NodeProto, operands: list[Operand], read: set[str]
    ) -> tuple[Operation, list[np.dtype]]:
        """The operator with its results' shapes, and their types."""
        from onnx import helper

        made = iter(typed_results(alone(node, self._file.model.opset_import, operands)))  # type: ignore[arg-type]
        found = [next(made) if name else ((), 1) for name in node.output]
        shapes = [shape for shape, _ in found if shape is not None]
        if len(shapes) < len(found):
            raise Mixing("the shape of its result shows only when it runs")
        for shape in shapes:
            self._budget.admit(f"the operator {called(node)}", shape)
        self._budget.add_work(multiplications(node, operands, sum(map(prod, shapes))))  # type: ignore[arg-type]
        copy = type(node)()
        copy.CopyFrom(node)
        attributes = attributes_of(self._file.name, node, self._opset, read)
        dtypes = [np.dtype(helper.tensor_dtype_to_np_dtype(kind)) for _, kind in found]
        return Operation(copy, attributes, operands, shapes, self._batch), dtypes

    # --- the new model -----------------------------------------------------------------------------------------------

    def _emit(self, operation: Operation, node: onnx.NodeProto, operands: Sequence[Operand]) -> None:
        """Add the operator for one sample; constants that are no weights of the file are written out as they are."""
        copy = operation.node
        for place, name in enumerate(copy.input):
            value = operands[place] if place < len(operands) else None
            if place in operation.replaced:
                copy.input[place] = self._constant(f"{node.output[0]}/{place}", operation.replaced[place])
            elif isinstance(value, Static) and value.initializer is None:
                copy.input[place] = self._constant(name, value.array)
            elif isinstance(value, Static):
                copy.input[place] = str(value.initializer)
        self._nodes.append(copy)

    def _constant(self, name: str, array: np.ndarray) -> str:
        """The name of a new constant; `name` says which one it is."""
        if name not in self._constants:
            from onnx import helper, numpy_helper

            self._constants[name] = f"{name}/for_one_sample"
            while self._constants[name] in self._values:
                self._constants[name] += "_"
            value = numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape))
            self._nodes.append(helper.make_node("Constant", [], [self._constants[name]], value=value))
        return self._constants[name]

    def _model(self) -> onnx.ModelProto:
        """The file's model with the new operators in place of its own."""
        model = type(self._file.model)()
        model.CopyFrom(self._file.model)
        del model.graph.node[:]
        model.graph.node.extend(self._nodes)
        return model
