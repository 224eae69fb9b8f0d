"""Gradients of attacks on a network that runs in float16."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.attacks.base import Function

#: Exact in every type. With it gradients vanish below 2⁻³², and overflow above 2⁸, in place of 2⁻²⁴ and 2¹⁶.
_AMPLIFIED = 256.0


def without_underflow(function: Function) -> Function:
    """The same function of points, whose gradients in them do not vanish where it runs in float16.

    An attack asks for gradients of every sample's own loss, which are tiny at samples that are classified with
    confidence. They are amplified on their way through the network, and are what they should be where they arrive.
    """

    def run(points: Tensor) -> Tensor:
        kind = points.device.type
        short = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.float16
        if not (short and points.requires_grad):
            return function(points)
        inside = points.view_as(points)
        inside.register_hook(lambda gradient: gradient / _AMPLIFIED)
        outputs = function(inside).float()  # so that gradients are amplified before they are cast
        outputs.register_hook(lambda gradient: gradient * _AMPLIFIED)
        return outputs

    return run
