"""Whether an ONNX model has the values that a property declares, with their types and shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autodual.errors import InvalidInputError
from autodual.frontend.onnx.model_file import OnnxFile, dtype_of

if TYPE_CHECKING:
    import onnx

#: The declared type that stands for any floating type of the model.
REAL = "real"


@dataclass(frozen=True)
class Declared:
    """A declared value: what the property calls it, its type and shape, and its name in the model if it matters."""

    variable: str
    element: str
    shape: tuple[int, ...]
    name: str | None = None


def require_declared(
    file: OnnxFile,
    inputs: Sequence[Declared] | None,
    hidden: Sequence[Declared],
    outputs: Sequence[Declared] | None,
) -> None:
    """Check the declarations of one network; inputs and outputs must be all of the model's, in its order, or None.

    Raises:
        InvalidInputError: the model has other inputs or outputs, or no such inner value, or one of another type or
            shape.
    """
    graph = file.model.graph
    weights = {tensor.name for tensor in graph.initializer}
    own = [entry for entry in graph.input if entry.name not in weights]
    for what, declared, found in (("input", inputs, own), ("output", outputs, list(graph.output))):
        if declared is None:
            continue
        if len(declared) != len(found):
            raise InvalidInputError(
                f"'{file.name}' has {len(found)} {what}(s) and the property declares {len(declared)}; declare them "
                "all, in the model's order."
            )
        for one, entry in zip(declared, found):
            _require_like(file.name, one, entry)
    if not hidden:
        return
    inner, kind = _inner_values(file.model), dtype_of(file.name, graph.output[0])
    made = {name for node in graph.node for name in node.output if name}
    for one in hidden:
        if (name := one.name or "") not in made:
            raise InvalidInputError(
                f"'{file.name}' has no inner value '{name}', which the property calls '{one.variable}'; name an "
                "output of one of its nodes."
            )
        if one.name not in inner:
            continue
        if (actual := dtype_of(file.name, inner[one.name])) != kind:
            raise InvalidInputError(
                f"'{one.name}', which the property calls '{one.variable}', is {actual} in '{file.name}', whose output "
                f"is {kind}; only values of the output's type can be verified with it."
            )
        _require_like(file.name, one, inner[one.name])


def _inner_values(model: onnx.ModelProto) -> dict[str, onnx.ValueInfoProto]:
    """What is known of the types of values inside a model."""
    from onnx import shape_inference

    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    return {entry.name: entry for entry in (*graph.value_info, *graph.output)}


def _require_like(name: str, declared: Declared, entry: onnx.ValueInfoProto) -> None:
    """Refuse a value of another type, or of a shape that the model's rules out."""
    found = str(dtype_of(name, entry))
    if declared.element != REAL and found != declared.element:
        raise InvalidInputError(
            f"The property declares '{declared.variable}' as {declared.element}, and in '{name}' it is {found}; "
            f"declare it as {found}, or as {REAL}."
        )
    tensor = entry.type.tensor_type
    if not tensor.HasField("shape"):
        return
    extents = [max(axis.dim_value, 0) or None for axis in tensor.shape.dim]
    fits = len(extents) == len(declared.shape) and all(
        wanted is None or wanted == extent for wanted, extent in zip(extents, declared.shape)
    )
    if not fits:
        shown = ",".join(str(extent or "any") for extent in extents)
        raise InvalidInputError(
            f"The property declares '{declared.variable}' with the shape {list(declared.shape)}, and in '{name}' it "
            f"has [{shown}]; declare that."
        )
