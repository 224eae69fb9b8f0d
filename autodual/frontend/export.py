"""torch.export with a dynamic batch axis, its failures in plain words, and the decomposition that lowering expects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from autodual.errors import BatchMixingError, TraceError
from autodual.frontend.batch import BatchAxis
from autodual.frontend.registry import registered
from autodual.frontend.source import describe_frame, line_of_failure

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
        return torch.export.export(
            model, tuple(inputs), dynamic_shapes=tuple({0: Dim.AUTO} for _ in inputs), strict=False
        )
    except Exception as error:
        _explain(error, len(inputs[0]))


def _explain(error: Exception, batch: int) -> NoReturn:
    """Raise a TraceError that says where and why the model could not be traced."""
    line = line_of_failure(error)
    where = f" at {line}" if line else ""
    if isinstance(error, GuardOnDataDependentSymNode):
        cause = "the model's control flow or shapes depend on the values of its input"
    else:
        first = next((part.strip() for part in str(error).splitlines() if part.strip()), "")
        cause = (
            f"{type(error).__name__}: {first} (traced with a batch of {batch}; "
            "a model must accept any batch size, so this may be a batch size that is written into the model)"
        )
    raise TraceError(f"The model cannot be traced{where}: {cause}. {_HINT}") from error


def decompose(program: ExportedProgram) -> ExportedProgram:
    """The program without in-place operations and with composites taken apart, except those that have a rule.

    A product of higher rank or an einsum is kept as well: taken apart, it would merge the batch axis with others.
    """
    table = torch.export.default_decompositions()
    for target in (*registered(), torch.ops.aten.einsum.default):
        table.pop(target, None)
    try:
        return program.run_decompositions(table)
    except Exception as error:
        _explain(error, 0)


def refuse_batch_decisions(example: Tensor, batch: BatchAxis) -> None:
    """Raise BatchMixingError if the program holds only for some batch sizes: the model then decides by the batch size.

    `example` is any fake tensor of the program before it was decomposed.
    """
    environment = getattr(getattr(example, "fake_mode", None), "shape_env", None)
    for guard in getattr(environment, "guards", ()):
        if batch.mentions(guard.expr):
            frame = guard.sloc.framework_loc
            where = f" at {describe_frame(frame)}" if hasattr(frame, "filename") else ""
            raise BatchMixingError(
                f"The model decides by its batch size{where} ({guard.expr}): a sample's output must not depend on how "
                "many others are in its batch. Remove the decision."
            )
