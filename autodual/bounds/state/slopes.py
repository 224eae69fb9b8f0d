"""Slopes as values: which line of its family each relaxed unit takes, for the rows of each node that is bounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Slopes:
    """t in [0, 1] for units of relaxed nodes: what a search for slopes returns, and what a bound can be given.

    Any t is sound. Of a ReLU it is the slope α of its lower line; of other ops it is the way from one end of the family
    of lines to the other (`LineFamily`). Whatever has no t here has the lines of the slope policy.

    Args:
        of: by the node whose linear functions are bounded, t by relaxed node. For the objective `[B or 1, S or 1,
            *shape]`, of its S rows or of all; for units of a bound site `[B or 1, 1, *shape]`.

    Example:
        >>> import autodual, torch
        >>> dual = autodual.compile_dual(torch.nn.ReLU())
        >>> x, ball, row = torch.tensor([[0.0, 0.5]]), autodual.LinfBall(1.0), torch.tensor([[1.0, 1.0]])
        >>> slopes = autodual.Slopes({"relu": {"relu": torch.tensor([[[0.0, 1.0]]])}})
        >>> dual(x, ball, row, chosen_slopes=slopes, slopes="shared", linear=True).objective.linear.coefficients
        {'input': tensor([[[0., 1.]]])}
    """

    of: Mapping[str, Mapping[str, Tensor]]

    def for_target(self, name: str) -> Mapping[str, Tensor]:
        """t by relaxed node, for rows of a node; none where nothing is said of it."""
        return self.of.get(name, {})

    def mapped(self, function: Callable[[Tensor], Tensor]) -> Slopes:
        """A function of each t in its place."""
        return Slopes({name: {node: function(t) for node, t in found.items()} for name, found in self.of.items()})
