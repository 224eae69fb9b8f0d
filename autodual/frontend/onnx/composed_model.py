"""One ONNX model for a property that is about more than one network's outputs.

Such a property also names values inside a network, the values of several networks, products of values, or inputs
beside outputs. The composed model takes the inputs of all networks and returns all of these values in a row, so that
everything else deals with one network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autodual.errors import InvalidInputError
from autodual.frontend.onnx.declared_values import Declared, require_declared
from autodual.frontend.onnx.model_file import OnnxFile, dtype_of, require_onnx
from autodual.frontend.onnx.versions import opset_of

if TYPE_CHECKING:
    import onnx

#: What the composed model calls its output.
VALUES = "values"
_SHARED = "entries"


@dataclass(frozen=True, eq=False)
class Part:
    """One network and what is declared of it; it may be the file of another part, too.

    inputs, outputs: all of the model's, in its order; None: as the model has them.
    """

    file: OnnxFile
    inputs: tuple[Declared, ...] | None
    hidden: tuple[Declared, ...]
    outputs: tuple[Declared, ...] | None


def compose(parts: Sequence[Part], products: Sequence[Sequence[int]], sources: Sequence[int] = ()) -> bytes:
    """The composed model: its output `[1, K]` holds all outputs, then all hidden values, then the products.

    products: the factors of each, as places among all entries of inputs and, behind them, outputs and hidden values.
    sources: for each entry of the parts' inputs, which entry of one input `[1, D]` it is, where they share entries;
    without them the model has the parts' own inputs.

    Raises:
        InvalidInputError: a model does not have the values that are declared, or models of different versions of the
            operators cannot be made alike.
    """
    onnx = require_onnx()
    for part in parts:
        require_declared(part.file, part.inputs, part.hidden, part.outputs)
    _require_one_type(parts)
    models = _alike(parts)
    builder = _Composition(sources)
    inputs, outputs, hidden = list[str](), list[str](), list[str]()
    for place, (part, model) in enumerate(zip(parts, models)):
        prefix = f"network{place}/"
        graph = onnx.compose.add_prefix(model, prefix).graph
        weights = {tensor.name for tensor in graph.initializer}
        entries = [entry for entry in graph.input if entry.name not in weights]
        shapes = [None] * len(entries) if part.inputs is None else [declared.shape for declared in part.inputs]
        for entry, shape in zip(entries, shapes):
            builder.add_input(_of_shape(entry, shape))
        builder.inputs += [entry for entry in graph.input if entry.name in weights]
        builder.nodes += list(graph.node)
        builder.initializers += list(graph.initializer)
        builder.sparse += list(graph.sparse_initializer)
        inputs += [builder.flat(entry.name) for entry in entries]
        outputs += [builder.flat(entry.name) for entry in graph.output]
        hidden += [builder.flat(prefix + str(one.name), math.prod(one.shape)) for one in part.hidden]
    builder.gather([*builder.shared(inputs), *outputs, *hidden], [*outputs, *hidden], products)
    return builder.model(models)


def _require_one_type(parts: Sequence[Part]) -> None:
    types = {
        str(dtype_of(part.file.name, entry))
        for part in parts
        for entry in (*part.file.model.graph.input, *part.file.model.graph.output)
    }
    if len(types) > 1:
        raise InvalidInputError(
            f"The networks' inputs and outputs are of the types {' and '.join(sorted(types))}; values of one type only "
            "can be compared, so export the networks alike."
        )


def _alike(parts: Sequence[Part]) -> list[onnx.ModelProto]:
    """The models, all in the newest of their versions of the operators."""
    from onnx import version_converter

    newest = max(opset_of(part.file.model) for part in parts)
    models = []
    for part in parts:
        model = part.file.model
        try:
            models.append(model if opset_of(model) == newest else version_converter.convert_version(model, newest))
        except Exception as error:  # errors of the converter's own kinds
            raise InvalidInputError(
                f"'{part.file.name}' uses version {opset_of(model)} of the ONNX operators, which cannot be converted "
                f"to the version {newest} of another network; export both in one version."
            ) from error
    return models


def _of_shape(entry: onnx.ValueInfoProto, shape: Sequence[int] | None) -> onnx.ValueInfoProto:
    """An input with its declared shape; without one, as it is."""
    from onnx import helper

    if shape is None:
        return entry
    return helper.make_tensor_value_info(entry.name, entry.type.tensor_type.elem_type, list(shape))


class _Composition:
    """The graph as it is put together."""

    def __init__(self, sources: Sequence[int]) -> None:
        self._sources, self._taken = sources, 0
        self.inputs: list[onnx.ValueInfoProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.sparse: list[onnx.SparseTensorProto] = []
        self.nodes: list[onnx.NodeProto] = []

    def _add(self, kind: str, operands: Sequence[str], name: str = "", **attributes: Any) -> str:
        from onnx import helper

        found = name or f"composed{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(operands), [found], name=f"{found}_node", **attributes))
        return found

    def _constant(self, values: Sequence[int]) -> str:
        from onnx import TensorProto, helper

        return self._add("Constant", [], value=helper.make_tensor("value", TensorProto.INT64, [len(values)], values))

    def add_input(self, entry: onnx.ValueInfoProto) -> None:
        """Make a network's input one of the model's, or take its entries from the shared one."""
        from onnx import helper

        if not self._sources:
            self.inputs.append(entry)
            return
        tensor = entry.type.tensor_type
        shape = [axis.dim_value for axis in tensor.shape.dim]
        if not self.inputs:
            size = [1, max(self._sources) + 1]
            self.inputs.append(helper.make_tensor_value_info(_SHARED, tensor.elem_type, size))
        stop = self._taken + math.prod(shape)
        own = self._add("Gather", [_SHARED, self._constant(self._sources[self._taken : stop])], axis=1)
        self._add("Reshape", [own, self._constant(shape)], entry.name)
        self._taken = stop

    def shared(self, inputs: Sequence[str]) -> Sequence[str]:
        """What holds each entry of the model's inputs once, as `[1, size]`."""
        return [_SHARED] if self._sources else inputs

    def flat(self, name: str, size: int = -1) -> str:
        """A value as `[1, size]`; a given size has to be the value's own."""
        return self._add("Reshape", [name, self._constant([1, size])])

    def gather(self, known: Sequence[str], values: Sequence[str], products: Sequence[Sequence[int]]) -> None:
        """Make the output: the values, then the products of entries of what is known, in order."""
        found = list(values)
        if products:
            everything = self._add("Concat", known, axis=1) if len(known) > 1 else known[0]
            start = 0
            for stop in _runs(products):
                found.append(self._multiplied(everything, products[start:stop]))
                start = stop
        self._add("Concat", found, VALUES, axis=1)

    def _multiplied(self, everything: str, products: Sequence[Sequence[int]]) -> str:
        """Products of equally many factors, `[1, count]`."""
        factors = [self._add("Gather", [everything, self._constant(places)], axis=1) for places in zip(*products)]
        result = factors[0]
        for factor in factors[1:]:
            result = self._add("Mul", [result, factor])
        return result

    def model(self, models: Sequence[onnx.ModelProto]) -> bytes:
        """The bytes of the model."""
        from onnx import helper

        kind = self.inputs[0].type.tensor_type.elem_type
        output = helper.make_tensor_value_info(VALUES, kind, None)
        graph = helper.make_graph(
            self.nodes, "composed", self.inputs, [output], self.initializers, sparse_initializer=self.sparse
        )
        opsets = {entry.domain: entry for model in models for entry in model.opset_import}
        version = max(model.ir_version for model in models)
        made = helper.make_model(graph, opset_imports=list(opsets.values()), ir_version=version)
        try:
            return bytes(made.SerializeToString())
        except Exception as error:  # of protocol buffers, which hold less than 2 GiB
            raise InvalidInputError(
                "The networks of the property are larger than 2 GiB together, more than one ONNX file can be."
            ) from error


def _runs(products: Sequence[Sequence[int]]) -> list[int]:
    """Where runs of products of equally many factors end."""
    sizes = [len(one) for one in products]
    return [place for place in range(1, len(sizes) + 1) if place == len(sizes) or sizes[place] != sizes[place - 1]]
