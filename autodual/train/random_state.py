"""The state of torch's random numbers, which a resumed run goes on with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from autodual.train.saved_state import Unfit, require_like


def random_state(device: torch.device) -> list[Tensor]:
    """Of the processor, and of the device where it has one of its own."""
    states = [torch.get_rng_state()]
    return states if device.type != "cuda" else [*states, torch.cuda.get_rng_state(device)]


def require_random_states(found: Any, device: torch.device) -> None:
    """Raise Unfit where a value from a checkpoint is no list of what `random_state` gives, one for each process.

    A run that was begun on another device may go on here on the processor.
    """
    own = random_state(device)
    if type(found) is not list:
        raise Unfit("'random' must be a list")
    for states in found:
        if type(states) is not list or len(states) < len(own):
            raise Unfit("'random' does not hold the random numbers' state of this kind of device")
        require_like("random", states[: len(own)], own)


def set_random_state(states: list[Tensor], device: torch.device) -> None:
    """Go on from there. Raises Unfit for what torch takes for no state."""
    try:
        torch.set_rng_state(states[0])
        if device.type == "cuda":
            torch.cuda.set_rng_state(states[1], device)
    except (RuntimeError, TypeError):
        raise Unfit("'random' is no state of torch's random numbers") from None
