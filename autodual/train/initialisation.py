"""Initial weights under which intervals neither grow nor vanish from layer to layer."""

from __future__ import annotations

import math

import torch
from torch import nn


@torch.no_grad()
def initialise_for_intervals(model: nn.Module) -> None:
    """Draw weights of fully connected and convolutional layers from N(0, 2π / n²), n inputs a unit; biases are 0.

    E|w| is then 2 / n. So a layer doubles the radius of an interval on average, and the rectified linear units behind
    it halve it again (Shi et al., 2021, Section 3.2). Random numbers come from torch's generator.
    """
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            inputs = module.weight[0].numel()
            nn.init.normal_(module.weight, 0.0, math.sqrt(2 * math.pi) / inputs)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
