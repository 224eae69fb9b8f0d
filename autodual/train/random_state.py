"""The state of torch's random numbers, which a resumed run goes on with."""

from __future__ import annotations

import torch
from torch import Tensor


def random_state(device: torch.device) -> list[Tensor]:
    """Of the processor, and of the device where it has one of its own."""
    states = [torch.get_rng_state()]
    return states if device.type != "cuda" else [*states, torch.cuda.get_rng_state(device)]


def set_random_state(states: list[Tensor], device: torch.device) -> None:
    """Go on from there."""
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
