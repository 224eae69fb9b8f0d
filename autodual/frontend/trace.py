"""From a PyTorch model, or an exported program, to the graph that everything else works on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind

from autodual.errors import InvalidInputError, TraceError
from autodual.frontend.batch import BatchAxis
from autodual.frontend.check import compare, fresh_inputs, require_finite, select_output
from autodual.frontend.export import decompose, export, refuse_batch_decisions
from autodual.frontend.lowering import Lowering
from autodual.frontend.state import inference, silence
from autodual.ir import Graph


@dataclass(frozen=True)
class TracedNetwork:
    """A model's graph for one sample, and the constants that it reads besides the model's parameters and buffers.

    `graph.inputs` are the names of the inputs in the order of the model's arguments.
    """

    graph: Graph
    constants: Mapping[str, Tensor] = field(default_factory=dict)

    def lookup(self, model: nn.Module) -> Callable[[str], Tensor]:
        """Resolves the names in the graph: the constants here, all others live through `model`."""

        def find(name: str) -> Tensor:
            return self.constants[name] if name in self.constants else reduce(getattr, name.split("."), model)  # type: ignore[arg-type]

        return find


def trace(model: nn.Module, example_inputs: Tensor | tuple[Tensor, ...], *, output: int | None = None) -> TracedNetwork:
    """The graph of a model in inference mode; the model is left exactly as found.

    Args:
        model: any module whose outputs for one sample do not depend on the others in its batch.
        example_inputs: one floating tensor `[N, *shape]` per argument, N ≥ 1; they are cast to the model's dtype and device.
        output: which of the model's outputs, counted in the order in which they are nested, if it has several.

    Raises:
        InvalidInputError: an argument is wrong, or a parameter holds NaN or infinity.
        TraceError: the model cannot be traced, or the graph does not compute what the model computes.
        BatchMixingError: samples influence each other.
        UnsupportedOpsError: some operations have no lowering; it lists them all.
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise TraceError("A TorchScript module cannot be traced; pass the nn.Module it was made from, or a torch.export archive.")
    examples = _checked_examples(model, example_inputs)
    with inference(model), silence():
        size = _tracing_batch(examples)
        program = export(model, fresh_inputs(examples, size, torch.Generator().manual_seed(0)))
        inputs = _input_placeholders(program)
        batch = _batch_axis(inputs)
        refuse_batch_decisions(inputs[0].meta["val"], batch)
        if batch.size is not None:
            raise TraceError("The model accepts only one batch size; replace the number that fixes it by x.shape[0].")
        return _finish(program, batch, model, examples, (3, 1), output)


def lower_exported(program: ExportedProgram, *, output: int | None = None) -> TracedNetwork:
    """The graph of a program of torch.export, such as `torch.export.load` reads from a `.pt2` file.

    The batch axis is axis 0 of every input. It may be dynamic, which is better, or have one size for all inputs. Names in the graph
    are those of `program.module()`.

    Raises:
        As `trace`.
    """
    inputs = _input_placeholders(program)
    for node in inputs:
        if not node.meta["val"].dim() or not all(isinstance(extent, int) for extent in node.meta["val"].shape[1:]):
            raise TraceError(f"The input '{node.name}' must have a batch axis and fixed extents behind it; export it so.")
    batch = _batch_axis(inputs)
    model = program.module()
    generator = torch.Generator().manual_seed(0)
    examples = tuple(
        torch.randn(1, *value.shape[1:], generator=generator).to(value.device, value.dtype)
        for value in (node.meta["val"] for node in inputs)
    )
    with inference(model), silence():
        return _finish(program, batch, model, examples, _permitted_batches(program, batch), output)


def _finish(
    program: ExportedProgram,
    batch: BatchAxis,
    model: nn.Module,
    examples: Sequence[Tensor],
    batches: Sequence[int],
    output: int | None,
) -> TracedNetwork:
    """Lower a program and compare the graph with the model that it came from."""
    program = decompose(program)
    names, constants = _names(program)
    place, result = _output(program, output)
    graph = Lowering(batch).run(_input_placeholders(program), names, result)
    traced = TracedNetwork(graph, constants)
    read = {name for node in graph for expression in node.op.expressions() for name in expression.parameters()}
    _refuse_mutation(program, read)
    find = traced.lookup(model)
    require_finite({name: find(name) for name in sorted(read)})
    own = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    tensors = {**own, **{name: find(name) for name in read}}

    def network(values: Mapping[str, Tensor], inputs: Sequence[Tensor]) -> Tensor:
        parameters = {name: values[name] for name in own}
        return select_output(torch.func.functional_call(model, parameters, tuple(inputs)), place)

    compare(graph, network, tensors, examples, batches)
    return traced


def _checked_examples(model: nn.Module, example_inputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The examples on the model's device and in its dtype."""
    examples = (example_inputs,) if isinstance(example_inputs, Tensor) else tuple(example_inputs)
    for example in examples:
        if not isinstance(example, Tensor) or not example.is_floating_point() or example.dim() == 0 or example.shape[0] == 0:
            raise InvalidInputError("Every example input must be a floating tensor [N, *shape] that holds at least one sample.")
    if not examples or len({len(example) for example in examples}) != 1:
        raise InvalidInputError("Give at least one example input, and as many samples in each.")
    own = next((tensor for tensor in (*model.parameters(), *model.buffers()) if tensor.is_floating_point()), examples[0])
    return tuple(example.detach().to(own.device, own.dtype) for example in examples)


def _tracing_batch(examples: Sequence[Tensor]) -> int:
    """A batch size that no other extent equals, so that a size written into the model cannot pass for it."""
    taken = {extent for example in examples for extent in example.shape}
    return next(size for size in (7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71) if size not in taken)


def _input_placeholders(program: ExportedProgram) -> list[fx.Node]:
    names = {
        spec.arg.name
        for spec in program.graph_signature.input_specs
        if spec.kind is InputKind.USER_INPUT
    }
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    inputs = [node for node in nodes if isinstance(node.meta.get("val"), Tensor)]
    if not inputs or not all(node.meta["val"].is_floating_point() for node in inputs):
        raise TraceError("The program must take floating tensors as inputs.")
    return inputs


def _batch_axis(inputs: Sequence[fx.Node]) -> BatchAxis:
    """The batch axis that all inputs share."""
    extents = [node.meta["val"].shape[0] for node in inputs]
    fixed = {extent for extent in extents if isinstance(extent, int)}
    if len(fixed) > 1 or (fixed and len(fixed) != len(set(map(str, extents)))):
        found = ", ".join(f"{node.name}: {extent}" for node, extent in zip(inputs, extents, strict=True))
        raise TraceError(f"The inputs do not share one batch size along axis 0 ({found}); export them with a common one.")
    if not fixed and not all(extent.node.expr.is_Symbol for extent in extents):
        raise TraceError("The program only accepts multiples of some batch size; export it with a free batch axis.")
    return BatchAxis(extents)


def _permitted_batches(program: ExportedProgram, batch: BatchAxis) -> tuple[int, ...]:
    """Batch sizes for the comparison: three and one, as far as the program's constraints permit."""
    if batch.size is not None:
        return (batch.size,)
    low, high = 1, 3
    for symbol, limits in program.range_constraints.items():
        if batch.mentions(symbol):
            low = max(low, int(limits.lower))
            high = max(low, min(high, int(limits.upper)) if limits.upper.is_finite else high)
    return (high,) if low == high else (high, low)


def _names(program: ExportedProgram) -> tuple[dict[str, str], dict[str, Tensor]]:
    """For each placeholder that is not an input, the name of its tensor; and the lifted constants by name."""
    specs = [spec for spec in program.graph_signature.input_specs if spec.target is not None]
    owned = (InputKind.PARAMETER, InputKind.BUFFER)
    names = {spec.arg.name: spec.target for spec in specs if spec.kind in owned}
    taken = set(names.values())
    constants: dict[str, Tensor] = {}
    for spec in specs:
        if spec.kind is InputKind.CONSTANT_TENSOR:
            name = "constant_" + spec.target.replace(".", "_")
            while name in taken:
                name += "_"
            taken.add(name)
            names[spec.arg.name] = name
            constants[name] = program.constants[spec.target]
    return names, constants


def _output(program: ExportedProgram, chosen: int | None) -> tuple[int, fx.Node]:
    """The place of the wanted output among the model's outputs, and the operation that computes it."""
    specs = program.graph_signature.output_specs
    places = [place for place, spec in enumerate(specs) if spec.kind is OutputKind.USER_OUTPUT]
    if chosen is None and len(places) != 1:
        raise InvalidInputError(f"The model has {len(places)} outputs; choose one with output=0 to output={len(places) - 1}.")
    wanted = chosen or 0
    if not 0 <= wanted < len(places):
        raise InvalidInputError(f"output={wanted} does not exist: the model has {len(places)} output(s).")
    (results,) = next(node for node in reversed(program.graph.nodes) if node.op == "output").args
    result = results[places[wanted]]
    if not isinstance(result, fx.Node):
        raise InvalidInputError(f"output={wanted} of the model is not a tensor; choose another.")
    return wanted, result


def _refuse_mutation(program: ExportedProgram, read: set[str]) -> None:
    """A model that reads a buffer which it also changes computes something else at every call."""
    for spec in program.graph_signature.output_specs:
        if spec.kind is OutputKind.BUFFER_MUTATION and spec.target in read:
            raise TraceError(f"The model changes its buffer '{spec.target}' and reads it: its output depends on earlier calls.")
