"""The gradient by a network's input; on CPUs past a first convolution of few channels by a faster way.

A convolution that reads few channels is cheap forwards. PyTorch's way back through it takes several times as long on
CPUs, whose kernels work on many channels at a time. So there the gradient is taken by the convolution's output alone,
and from there on by hand: a product with the weights says what each output feature gives to the pixels of its window,
and `fold` adds that up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge
from torch.nn import functional

# With more channels the ordinary way is as fast (windows of 3 to 7 pixels were measured).
_FEW_CHANNELS = 3
_CONVOLUTION = "ConvolutionBackward0"


class InputGradients:
    """Gradients during one attack. It looks for a first convolution only as long as it finds one."""

    def __init__(self) -> None:
        self._ordinary = False

    def of(self, outputs: Tensor, slope: Tensor, points: Tensor) -> Tensor:
        """The gradient by the points, `[N, *shape]`, of a loss of the outputs; 0 where these do not depend on them.

        Args:
            outputs: computed from the points, `[N, K]`.
            slope: the loss's gradient by the outputs, `[N, K]`.
            points: a leaf that requires gradients, `[N, *shape]`.
        """
        if not outputs.requires_grad:
            return torch.zeros_like(points)
        if not self._ordinary and points.device.type == "cpu":
            first = _first_convolution(outputs, points)
            if first is not None:
                return first.gradient(outputs, slope, points)
            self._ordinary = True
        return _gradient(outputs, points, slope)


@dataclass(frozen=True, eq=False)
class _FirstConvolution:
    """A node of a graph through which all ways lead from the outputs to the points."""

    node: Any

    def gradient(self, outputs: Tensor, slope: Tensor, points: Tensor) -> Tensor:
        """The gradient by the points, `[N, *shape]`, as `InputGradients.of` has it."""
        node = self.node
        (at_output,) = _gradients(outputs, GradientEdge(node, 0), slope)
        if at_output is None:  # an op of the user's own has no gradient
            return torch.zeros_like(points)
        weight, extent = node._saved_weight, node._saved_input.shape[2:]
        shares = torch.matmul(weight.detach().flatten(1).t(), at_output.flatten(2))
        window, stride = weight.shape[2:], node._saved_stride
        found = functional.fold(shares, extent, window, node._saved_dilation, node._saved_padding, stride)
        before, _ = node.next_functions[0]
        if getattr(before, "variable", None) is points:
            return found
        return _gradient(node._saved_input, points, found)


def _first_convolution(outputs: Tensor, points: Tensor) -> _FirstConvolution | None:
    """The convolution of few channels that alone reads the points, or what is computed from them; None without one."""
    waiting, seen, found = [outputs.grad_fn], set[Any](), list[Any]()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if getattr(node, "variable", None) is points:
            return None  # by a way that no such convolution is on
        after = [one for one, _ in node.next_functions]
        if node.name() == _CONVOLUTION and _reads_few_channels(node):
            found.append(node)
            after = after[1:]
        waiting += after
    return _FirstConvolution(found[0]) if len(found) == 1 else None


def _reads_few_channels(node: Any) -> bool:
    """Whether a node is the way back through an ordinary convolution of images by its few channels."""
    plain = node._saved_groups == 1 and not node._saved_transposed and node.next_functions[0][0] is not None
    if not plain or len(node._saved_stride) != 2:
        return False
    weight = node._saved_weight
    return weight.shape[1] <= _FEW_CHANNELS and weight.dtype in (torch.float32, torch.float64)


def _gradient(of: Tensor, points: Tensor, slope: Tensor) -> Tensor:
    """The gradient `[N, *shape]` by the points; 0 where there is none."""
    (found,) = _gradients(of, points, slope)
    return torch.zeros_like(points) if found is None else found


def _gradients(of: Tensor, by: Tensor | GradientEdge, slope: Tensor) -> Sequence[Tensor | None]:
    """`torch.autograd.grad`, which loads a computer algebra system to check slopes that it is given."""
    slope = slope.reshape(of.shape)
    with torch.enable_grad():
        whole = of.sum()
    hook = of.register_hook(lambda _: slope)
    try:
        return torch.autograd.grad(whole, by, allow_unused=True)
    finally:
        hook.remove()
