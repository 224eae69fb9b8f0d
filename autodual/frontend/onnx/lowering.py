"""One walk over an ONNX graph: operators become nodes by their rules; what does not depend on the input is folded."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from autodual.errors import AutodualError, ModelFileError, TraceError, UnsupportedOp, UnsupportedOpsError, reason_of
from autodual.frontend.construction import GraphUnderConstruction, Unsupported, pruned
from autodual.frontend.onnx.attributes import attributes_of
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.file_limits import LINKS, OPERATORS, Budget, refuse
from autodual.frontend.onnx.folding import folded, refuse_random
from autodual.frontend.onnx.held_tensors import Tensors
from autodual.frontend.onnx.legal_names import SHOWN, STANDARD, called, legal_name, titled
from autodual.frontend.onnx.liveness import live_nodes, reads
from autodual.frontend.onnx.model_file import OnnxFile
from autodual.frontend.onnx.operands import UNKNOWN, Branch, Static, Unknown, stored_shape
from autodual.frontend.onnx.registry import rule_for
from autodual.frontend.onnx.single import Operands, alone, multiplications, results
from autodual.frontend.onnx.stored_tensors import array_of
from autodual.frontend.onnx.versions import opset_of
from autodual.ir import Graph, Source, verify
from autodual.ir.ops import Input

if TYPE_CHECKING:
    import onnx


#: The floating types of inputs that a network declares, and so is run in, though it may have no weights of them.
_NARROW = {np.dtype(np.float16): torch.float16, np.dtype(np.float32): torch.float32}


@dataclass(frozen=True, eq=False)
class OnnxInput:
    """One input of a network: its name in the file, and the shape and type that the file's tensor has."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype


class OnnxLowering:
    """Turns what one output of a model depends on into a graph."""

    def __init__(self, file: OnnxFile, tensors: Tensors | None = None):
        """`tensors`: those of another lowering of the same file, with which this one shares its weights."""
        self._name = file.name
        self._model = file.model
        self._opset = opset_of(file.model)
        self._budget = Budget(file.name, file.size)
        self._graph = GraphUnderConstruction()
        self._unsupported: dict[UnsupportedOp, None] = {}
        self.tensors = tensors or Tensors(self._budget)

    def run(self, inputs: Sequence[OnnxInput], output: str) -> tuple[Graph, tuple[int, ...]]:
        """The graph, and the shape that ONNX gives its output.

        Raises:
            ModelFileError: the file is damaged.
            TraceError: the output does not depend on the inputs.
            UnsupportedOpsError: some operators have no rule; it lists them all.
        """
        values: dict[str, Any] = {}
        names = []
        for entry in inputs:
            stored = stored_shape(entry.shape)
            self._budget.add_node(f"the input '{entry.name}'", entry.shape)
            op = Input(_NARROW.get(np.dtype(entry.dtype)))
            node = self._graph.add(legal_name(entry.name, "input"), op, (), stored, Source(target="input"))
            values[entry.name] = Branch(node, entry.shape, entry.dtype)
            names.append(node.name)
        self._walk(self._model.graph, values, {output})
        if self._unsupported:
            raise UnsupportedOpsError(tuple(self._unsupported))
        result = values.get(output)
        if isinstance(result, Static):
            raise TraceError(f"The output '{output}' of '{self._name}' does not depend on its input.")
        if not isinstance(result, Branch):
            raise ModelFileError(f"'{self._name}' is damaged: nothing computes its output '{output}'.")
        graph = pruned(tuple(names), self._graph.nodes, result.node.name)
        verify(graph)
        return graph, result.shape

    def _walk(self, graph: onnx.GraphProto, values: MutableMapping[str, Any], outputs: set[str]) -> None:
        """Compute the values of a graph, or of a branch inside one, and add them to the values known so far."""
        for tensor in graph.initializer:
            if tensor.name not in values:
                values[tensor.name] = Static(array_of(self._name, tensor), tensor.name)
        if graph.sparse_initializer:
            raise ModelFileError(f"'{self._name}' holds sparse tensors, which are not supported; store them densely.")
        self._require_single(graph)
        live = live_nodes(graph, outputs)
        if sum(node.op_type != "Constant" for node in live) > OPERATORS:
            refuse(self._name, f"its output depends on more than {OPERATORS:,} operators")
        if sum(len(node.input) + len(node.output) for node in live) > LINKS:
            refuse(self._name, f"its operators have more than {LINKS:,} operands and results")
        read = outputs.union(*(reads(node) for node in live))
        for node in live:
            missing = [name for name in node.input if name and name not in values]
            if missing:
                raise ModelFileError(
                    f"'{self._name}' is damaged: nothing before the operator {called(node)} computes '{missing[0]}'."
                )
            results = self._value(node, values, read)
            for name, result in zip(node.output, results):
                if name:
                    values[name] = result

    def _require_single(self, graph: onnx.GraphProto) -> None:
        """Refuse a graph in which a name stands for two values: readers differ in which one they take."""
        made = [name for node in graph.node for name in node.output if name]
        count = Counter([*made, *(tensor.name for tensor in graph.initializer)])
        count.update(entry.name for entry in graph.input if not count[entry.name] or entry.name in made)
        twice = next((name for name, times in count.items() if times > 1), None)
        if twice is not None:
            raise ModelFileError(f"'{self._name}' is damaged: it has two values of the name '{twice[:SHOWN]}'.")

    def _value(self, node: onnx.NodeProto, values: MutableMapping[str, Any], read: set[str]) -> Sequence[Any]:
        """The results of one operator."""
        operands = [values[name] if name else None for name in node.input]
        try:
            if node.op_type == "If" and node.domain in STANDARD:
                return self._chosen_branch(node, operands[0], values)
            if not any(isinstance(operand, (Branch, Unknown)) for operand in operands):
                return folded(self._name, node, self._model.opset_import, operands, self._budget)
            rule = rule_for("" if node.domain in STANDARD else node.domain, node.op_type)
            if rule is None:
                refuse_random(node.op_type)
                raise Unsupported("no rule lowers it")
            if any(isinstance(operand, Unknown) for operand in operands):
                return [UNKNOWN] * len(node.output)
            self._admit(node, operands)
            return self._lowered(rule, node, operands, read)
        except Unsupported as reason:
            where = f"the operator {called(node)}"
            self._unsupported[UnsupportedOp(f"ONNX {titled(node)}", "", where, str(reason))] = None
            return [UNKNOWN] * len(node.output)

    def _admit(self, node: onnx.NodeProto, operands: Operands) -> None:
        """Refuse an operator whose results are too large or take too long, before its rule makes anything."""
        entries = 0
        for shape in results(alone(node, self._model.opset_import, operands)):
            if shape is not None:
                self._budget.admit(f"the operator {called(node)}", shape)
                entries += prod(shape)
        self._budget.add_work(multiplications(node, operands, entries))

    def _lowered(self, rule: Any, node: onnx.NodeProto, operands: Sequence[Any], read: set[str]) -> Sequence[Any]:
        dtype = next(operand.dtype for operand in operands if isinstance(operand, Branch))
        builder = OnnxBuilder(
            self._graph,
            self.tensors,
            legal_name(node.name, node.op_type.lower()),
            Source(line=called(node), target=node.op_type, call=next(iter(node.output), "")),
            self._budget,
            dtype,
        )
        attributes = attributes_of(self._name, node, self._opset, read)
        try:
            result = rule(builder, attributes, *operands)
        except (Unsupported, AutodualError):
            raise
        except AssertionError:
            raise Unsupported("another operand of it than usual depends on the network's input") from None
        except Exception as error:
            # Damaged files reach rules, too: attributes are missing, or name axes that do not exist.
            reason = reason_of(error)
            raise Unsupported(f"its attributes and operands do not fit each other: {reason}") from error
        return result if isinstance(result, tuple) else (result,)

    def _chosen_branch(self, node: onnx.NodeProto, condition: Any, values: MutableMapping[str, Any]) -> Sequence[Any]:
        """The results of the branch that a fixed condition takes."""
        if not isinstance(condition, Static):
            raise Unsupported("which branch is taken depends on the network's input")
        wanted = "then_branch" if condition.array.reshape(-1)[0] else "else_branch"
        body = next(attribute.g for attribute in node.attribute if attribute.name == wanted)
        inner: dict[str, Any] = {}
        names = [entry.name for entry in body.output]
        self._walk(body, ChainMap(inner, values), set(names))
        return [inner.get(name, UNKNOWN) for name in names]
