"""torch.export with a dynamic batch axis: explaining its failures, and decomposing the program for lowering."""

from __future__ import annotations

import operator
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.export import Dim, ExportedProgram, ShapesCollection

from autodual.errors import BatchMixingError, TraceError
from autodual.frontend.torch.registry import registered, rule_for
from autodual.frontend.torch.source import describe_frame, first_line, is_users, line_of_failure
from autodual.frontend.torch.tracing.state import silence

_HINT = (
    "Rewrite that line with tensor operations that treat each sample alike and take sizes from x.shape, "
    "or hide it in an operator of its own (torch.library.custom_op) and register a rule for that."
)


def export(model: nn.Module, inputs: Sequence[Tensor]) -> ExportedProgram:
    """The program of a model for every batch size of at least two; `inputs` are one batch.

    Raises:
        TraceError: torch.export fails; the message holds the user's line and the cause.
    """
    try:
        dynamic = ShapesCollection()
        for value in inputs:
            dynamic[value] = {0: Dim.AUTO}
        with silence():
            return torch.export.export(
                model, tuple(inputs), dynamic_shapes=dynamic.dynamic_shapes(model, tuple(inputs)), strict=False
            )
    except Exception as error:
        _explain(error, len(inputs[0]))


def _explain(error: Exception, batch: int) -> NoReturn:
    """Raise a TraceError that says where and why the model could not be traced."""
    # Imported here, since it loads sympy, which only tracing needs.
    from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

    if isinstance(error, AssertionError) and str(error).startswith("Guard failed"):
        raise TraceError(
            "The model is the module of a program of torch.export that takes batches of some sizes only "
            f"({first_line(error)}); pass the ExportedProgram itself, or the file that holds it."
        ) from error
    line = line_of_failure(error)
    where = f" at {line}" if line else ""
    if isinstance(error, GuardOnDataDependentSymNode):
        cause = "the model's control flow or shapes depend on the values of its input"
    else:
        cause = (
            f"{first_line(error)} (traced with a batch of {batch}; "
            "a model must accept any batch size, so this may be a batch size that is written into the model)"
        )
    raise TraceError(f"The model cannot be traced{where}: {cause}. {_HINT}") from error


def decompose(program: ExportedProgram) -> ExportedProgram:
    """The program without in-place operations and with composites taken apart, except those that have a rule.

    An einsum is kept as well: taken apart, it would merge the batch axis with others. A program that needs none of
    this, as most do, is returned as it is.
    """
    if _is_ready(program):
        return program
    table = torch.export.default_decompositions()
    for target in (*registered(), torch.ops.aten.einsum.default):
        table.pop(target, None)
    try:
        with silence():
            return program.run_decompositions(table)
    except Exception as error:
        raise TraceError(f"torch.export cannot decompose the model ({first_line(error)}). {_HINT}") from error


def _is_ready(program: ExportedProgram) -> bool:
    """Whether no operation changes its operands and each that depends on the input has a rule."""
    inputs = set(program.graph_signature.user_inputs)
    dependent: set[fx.Node] = set()
    for node in program.graph.nodes:
        if not isinstance(node.meta.get("val"), (Tensor, list, tuple)):
            continue
        if node.name in inputs or not dependent.isdisjoint(node.all_input_nodes):
            dependent.add(node)
        if node.op != "call_function":
            continue
        schema = getattr(node.target, "_schema", None)
        if schema is not None and schema.is_mutable and node.target is not torch.ops.aten.detach_.default:
            return False
        if node in dependent and node.target is not operator.getitem and rule_for(node.target) is None:
            return False
    return True


def batch_decision(program: ExportedProgram) -> tuple[TraceError, bool] | None:
    """The error of a program that holds only for some batch sizes, and whether it names the user's line.

    The batch sizes are the only symbols, so every condition that torch recorded is one on them. None if there is none.
    """
    fakes = (node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder")
    environment = next(fake.fake_mode.shape_env for fake in fakes if isinstance(fake, FakeTensor))
    for guard in environment.guards if environment is not None else ():
        condition, place = guard.expr, guard.sloc.framework_loc
        shared = condition.is_Equality and all(side.is_Symbol for side in condition.args)
        if not shared and condition.free_symbols:
            if isinstance(place, traceback.FrameSummary) and is_users(place.filename):
                return _decision(condition, f" at {describe_frame(place)}"), True
            return _decision(condition, ""), False
    return None


def _decision(condition: Any, where: str) -> TraceError:
    """The refusal of a model whose batch size must meet a condition."""
    if condition.is_Equality and any(side.is_Integer for side in condition.args):
        return TraceError(
            f"The model turns its batch size into a plain number{where}; write x.shape[0] in place of len(x), and let "
            "tensor operations run over the batch in place of a loop."
        )
    return BatchMixingError(
        f"The model decides by its batch size{where} ({condition}): a sample's output must not depend on how many "
        "others are in its batch. Remove the decision."
    )
