"""How weights begin: PyTorch's way, or so that intervals neither grow nor vanish from layer to layer."""

from __future__ import annotations

import math

import torch
from torch import nn


@torch.no_grad()
def initialise_for_intervals(model: nn.Module) -> None:
    """Weights of all fully connected and convolutional layers drawn anew, N(0, 2π / n²) for n inputs a unit; biases 0.

    E|w| is then 2 / n, so that the radius of an interval is kept on average by a layer and the rectified linear units
    behind it, which halve it (Shi et al., 2021, Section 3.2). Numbers come from torch's generator.
    """
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            inputs = module.weight[0].numel()
            nn.init.normal_(module.weight, 0.0, math.sqrt(2 * math.pi) / inputs)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
