"""Reading an exported program: its inputs and their batch axis, the names of its tensors, and the wanted output."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind

from autodual.errors import InvalidInputError, TraceError
from autodual.frontend.torch.batch_axis import BatchAxis, settled, symbol_of


def input_placeholders(program: ExportedProgram) -> list[fx.Node]:
    """The placeholders of the network's inputs, in the order of the model's arguments.

    Raises:
        TraceError: an input is no floating tensor with a batch axis and fixed extents behind it.
    """
    specs = program.graph_signature.input_specs
    names = {spec.arg.name for spec in specs if spec.kind is InputKind.USER_INPUT}
    nodes = [node for node in program.graph.nodes if node.op == "placeholder" and node.name in names]
    inputs = [node for node in nodes if isinstance(node.meta.get("val"), Tensor)]
    if not inputs:
        raise TraceError("The program takes no tensor, so there is nothing to perturb.")
    for node in inputs:
        value = node.meta["val"]
        if not value.is_floating_point():
            raise TraceError(
                f"The input '{node.name}' has the dtype {value.dtype}; only floating inputs can be perturbed."
            )
        if not value.dim() or not all(isinstance(settled(extent), int) for extent in value.shape[1:]):
            raise TraceError(
                f"The input '{node.name}' must have a batch axis and fixed extents behind it; export the model so."
            )
    return inputs


def batch_axis(inputs: Iterable[fx.Node]) -> BatchAxis:
    """The batch axis that all inputs share.

    Raises:
        TraceError: the inputs have different batch sizes, or only multiples of some number are accepted.
    """
    extents = {node.name: settled(node.meta["val"].shape[0]) for node in inputs}
    fixed = [extent for extent in extents.values() if isinstance(extent, int)]
    if fixed and (len(set(fixed)) > 1 or len(fixed) < len(extents)):
        found = ", ".join(f"{name}: {extent}" for name, extent in extents.items())
        raise TraceError(f"The inputs do not share one batch size ({found}); export them with a common one.")
    if any(not isinstance(extent, int) and not symbol_of(extent).is_Symbol for extent in extents.values()):
        raise TraceError("The program accepts only multiples of some batch size; export it with a free batch axis.")
    return BatchAxis(list(extents.values()))


@contextmanager
def naming_the_batch(size: int | None) -> Iterator[None]:
    """A context that adds to a refusal that the batch size is fixed, if it is: a free one may be lowered."""
    try:
        yield
    except TraceError as error:
        if size is None or "model.eval()" in str(error):
            raise
        raise type(error)(
            f"{error} The batch size {size} is baked into the program; exported with a free batch axis, it may fare "
            "better: torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim.AUTO},)), where x holds at "
            "least two samples."
        ) from error


def permitted_batches(program: ExportedProgram, batch: BatchAxis) -> tuple[int, int | None]:
    """The least and the largest batch size that the program permits; None where any larger one will do."""
    if batch.size is not None:
        return batch.size, batch.size
    least, most = 1, None
    for symbol, limits in program.range_constraints.items():
        if batch.is_symbol(symbol):
            least = max(least, int(limits.lower))
            if limits.upper.is_Integer:
                most = int(limits.upper) if most is None else min(most, int(limits.upper))
    return least, None if most is None else max(least, most)


def compared_batches(least: int, most: int | None) -> tuple[int, ...]:
    """Batch sizes for comparisons: three and one, as far as they are permitted."""
    high = max(least, 3 if most is None else min(3, most))
    return (high,) if least == high else (high, least)


def tensor_names(program: ExportedProgram) -> tuple[dict[str, str], dict[str, Tensor]]:
    """For each placeholder that is not an input, the name of its tensor; and the lifted constants by name."""
    specs = [spec for spec in program.graph_signature.input_specs if spec.target is not None]
    owned = (InputKind.PARAMETER, InputKind.BUFFER)
    names = {spec.arg.name: str(spec.target) for spec in specs if spec.kind in owned}
    taken = set(names.values())
    constants: dict[str, Tensor] = {}
    for spec in specs:
        if spec.kind is InputKind.CONSTANT_TENSOR:
            name = "constant_" + str(spec.target).replace(".", "_")
            while name in taken:
                name += "_"
            taken.add(name)
            names[spec.arg.name] = name
            constants[name] = program.constants[str(spec.target)]
    return names, constants


def chosen_output(program: ExportedProgram, chosen: int | None) -> tuple[int, fx.Node]:
    """The place of the wanted output among the model's flattened outputs, and the operation that computes it.

    Raises:
        InvalidInputError: there are several outputs and none is chosen, or the chosen one is missing or no tensor.
    """
    specs = program.graph_signature.output_specs
    places = [place for place, spec in enumerate(specs) if spec.kind is OutputKind.USER_OUTPUT]
    if chosen is None and len(places) != 1:
        raise InvalidInputError(
            f"The model has {len(places)} outputs; choose one, counted from zero, with output=0 (the first)."
        )
    wanted = chosen or 0
    if not 0 <= wanted < len(places):
        raise InvalidInputError(f"output={wanted} does not exist: the model has {len(places)} output(s).")
    (results,) = next(node for node in reversed(program.graph.nodes) if node.op == "output").args
    result = results[places[wanted]]
    if not isinstance(result, fx.Node) or not isinstance(result.meta.get("val"), Tensor):
        raise InvalidInputError(f"output={wanted} of the model is not a tensor; choose another.")
    return wanted, result


def refuse_mutation(program: ExportedProgram, read: Iterable[str]) -> None:
    """Raise TraceError if running the network changes a buffer that it reads: each call computes something else."""
    specs = program.graph_signature.output_specs
    mutated = {spec.target for spec in specs if spec.kind is OutputKind.BUFFER_MUTATION}
    for name in read:
        if name in mutated:
            raise TraceError(
                f"The model changes its buffer '{name}' and reads it, so its output depends on earlier calls; "
                "leave the buffer alone in evaluation mode."
            )
