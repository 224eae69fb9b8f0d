"""Mixed precision: the type that passes run in, and steps whose gradients survive a short one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from autodual.train.saved_state import Unfit, require_like

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class MixedPrecision:
    """Runs passes in a short type, and scales losses so that their gradients do not vanish in float16.

    Weights, their gradients and the optimiser's state stay in float32. A step whose gradients overflow is left out, and
    the scale of the next loss is lower.

    precision: `float32`, `bfloat16` or `float16`. device: of the weights.
    """

    def __init__(self, precision: str, device: torch.device):
        self._dtype, self._device = _DTYPES[precision], device.type
        self._scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")
        self._scaler.scale(torch.zeros((), device=device))  # makes its state now, which it otherwise does at a loss

    def passes(self) -> AbstractContextManager[Any]:
        """Inside, passes of the network run in the short type."""
        return torch.autocast(self._device, self._dtype, enabled=self._dtype != torch.float32)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss, scaled, to those of the weights."""
        self._scaler.scale(loss).backward()

    def unscale(self, optimiser: torch.optim.Optimizer) -> None:
        """Divide the weights' gradients by the scale; once before each step."""
        self._scaler.unscale_(optimiser)

    def step(self, optimiser: torch.optim.Optimizer) -> None:
        """Take the optimiser's step, unless gradients have overflowed, and choose the next loss's scale."""
        self._scaler.step(optimiser)
        self._scaler.update()

    def state(self) -> dict[str, Any]:
        """The state, for a checkpoint; empty except in float16."""
        return self._scaler.state_dict()

    def require_state(self, found: Any) -> None:
        """Raise Unfit unless a value from a checkpoint is a state of this run's."""
        own = self.state()
        require_like("scaler", found, own)
        for key, value in own.items():
            fixed = key not in ("scale", "_growth_tracker")
            if (fixed and found[key] != value) or (key == "scale" and not 0 < found[key] < 2.0**127):
                raise Unfit(f"'scaler.{key}' is not one that a run can have")

    def load(self, state: dict[str, Any]) -> None:
        """Take over the state of a checkpoint."""
        if state:
            self._scaler.load_state_dict(state)
