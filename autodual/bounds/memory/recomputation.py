"""Parts of a bound computation of which gradients keep nothing: the backward pass computes them again.

Unlike `torch.utils.checkpoint` this records no graph at all until then, whose bare nodes may take more than the budget
where there are many small parts; and the second time may go another way than the first, where rounding decides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from autodual.bounds.memory.tensor_tree import differentiable, mapped, tensors_of
from autodual.bounds.rounding.plain_arithmetic import plain_arithmetic
from autodual.bounds.state.bound_state import BoundState

Result = TypeVar("Result")


def recomputed(work: Callable[..., Result], *arguments: Any) -> Result:
    """`work(*arguments)`, computed again in the backward pass.

    Gradients flow to the tensors that the arguments hold, and to no other tensors that `work` reaches. The result may
    hold tensors as well.
    """
    found: list[Result] = []
    outputs = iter(_Recomputation.apply(work, arguments, found, *differentiable(arguments)))
    return mapped(found[0], lambda _: next(outputs))


def recomputed_rows(state: BoundState, work: Callable[..., Result], *arguments: Any) -> Result:
    """`recomputed` for work on a state, which it must not change; `work` takes the state first."""

    def plainly(state: BoundState, *arguments: Any) -> Result:
        with plain_arithmetic(state.environment.device, state.options.rigorous):
            return work(state, *arguments)

    return recomputed(plainly, state.present(), *arguments)


class _Recomputation(torch.autograd.Function):
    @staticmethod
    def forward(ctx, work, arguments, found, *inputs):
        result = work(*mapped(arguments, Tensor.detach))
        found.append(result)
        ctx.work, ctx.arguments = work, arguments
        ctx.save_for_backward(*inputs)
        ctx.set_materialize_grads(False)
        outputs: list[Tensor] = []
        for output in tensors_of(result):
            outputs.append(output.clone() if any(output is other for other in outputs) else output)
        ctx.mark_non_differentiable(*(output for output in outputs if not output.is_floating_point()))
        return tuple(outputs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *gradients):
        inputs = ctx.saved_tensors
        with torch.enable_grad():
            own = {id(tensor): tensor.detach().requires_grad_() for tensor in inputs}
            outputs = tensors_of(ctx.work(*mapped(ctx.arguments, lambda tensor: own.get(id(tensor), tensor))))
        pairs = [
            (output, gradient)
            for output, gradient in zip(outputs, gradients, strict=True)
            if gradient is not None and output.requires_grad
        ]
        if not pairs:
            return (None,) * (3 + len(inputs))
        ends, along = zip(*pairs)
        return None, None, None, *torch.autograd.grad(ends, list(own.values()), along, allow_unused=True)
