"""Programs of torch.export, some of which accept batches of one size only: wrapping them and running them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.export import ExportedProgram

from autodual.frontend.torch.tracing.program import batch_axis, input_placeholders, permitted_batches

Wrap = Callable[[nn.Module], nn.Module]


def unguarded(program: ExportedProgram) -> nn.Module:
    """The program as a module without checks of the batch size, which tracing would take for branches."""
    module = program.module(check_guards=False)
    module.validate_inputs = False  # type: ignore[assignment]
    return module


def wrapped(program: ExportedProgram, wrap: Wrap) -> nn.Module | ExportedProgram:
    """The program with other layers around it: a module, or where its batch size is fixed, a program of that again.

    A program of fixed batch size cannot be traced with the unusual batch size that marks the batch axis.
    """
    module = wrap(unguarded(program))
    inputs = input_placeholders(program)
    least, most = permitted_batches(program, batch_axis(inputs))
    if least != most:
        return module
    examples = [torch.zeros(least, *node.meta["val"].shape[1:], dtype=node.meta["val"].dtype) for node in inputs]
    own = next((tensor for tensor in module.parameters() if tensor.is_floating_point()), examples[0])
    examples = [example.to(own) for example in examples]
    return torch.export.export(module, tuple(examples), strict=False)


def permitted(program: ExportedProgram, x: torch.Tensor) -> torch.Tensor:
    """As many of the samples x `[N, *shape]` as the program accepts at once, repeated if there are too few."""
    least, most = permitted_batches(program, batch_axis(input_placeholders(program)))
    index = torch.arange(max(len(x), least))[:most].clamp(max=len(x) - 1)
    return x[index.to(x.device)]
