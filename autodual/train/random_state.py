"""Saves and restores torch's random number generators, so that a resumed run draws the same numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from autodual.train.saved_state import Unfit, require_like


def random_state(device: torch.device) -> list[Tensor]:
    """The states of the CPU's generator and, where the device is a GPU, of the GPU's."""
    states = [torch.get_rng_state()]
    return states if device.type != "cuda" else [*states, torch.cuda.get_rng_state(device)]


def require_random_states(found: Any, device: torch.device) -> None:
    """Raise Unfit unless a value from a checkpoint is a list of what `random_state` returns, one for each process.

    A run that was begun on a GPU may continue on the CPU.
    """
    own = random_state(device)
    if type(found) is not list:
        raise Unfit("'random' must be a list")
    for states in found:
        if type(states) is not list or len(states) < len(own):
            raise Unfit("'random' does not hold the random numbers' state of this kind of device")
        require_like("random", states[: len(own)], own)


def set_random_state(states: list[Tensor], device: torch.device) -> None:
    """Restore the generators. Raises Unfit for what torch does not accept as a state."""
    try:
        torch.set_rng_state(states[0])
        if device.type == "cuda":
            torch.cuda.set_rng_state(states[1], device)
    except (RuntimeError, TypeError):
        raise Unfit("'random' is no state of torch's random numbers") from None
