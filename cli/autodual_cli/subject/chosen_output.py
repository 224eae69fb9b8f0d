"""A last step that picks one of a network's several outputs."""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.utils._pytree import tree_leaves

from autodual.errors import InvalidInputError


class ChosenOutput(nn.Module):
    """The network's output number `index`, counted from 0 in the order in which they are nested."""

    def __init__(self, model: nn.Module, index: int) -> None:
        super().__init__()
        self.model = model
        self.index = index

    def forward(self, x: Any) -> Any:
        outputs = tree_leaves(self.model(x))
        if self.index >= len(outputs):
            raise InvalidInputError(
                f"The network has {len(outputs)} output(s), so there is no --output-index {self.index}."
            )
        return outputs[self.index]
