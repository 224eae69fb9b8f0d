"""A first layer that turns raw inputs into the normalised inputs a network was trained on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autodual.errors import InvalidInputError


class Normalise(nn.Module):
    """(x - mean) / std per channel, so that data, radii and domains all stay in raw units.

    Args:
        mean, std: one number, or one per channel.
        shape: of one sample, channels first.

    Raises:
        InvalidInputError: the numbers do not fit the channels.

    Example:
        >>> import torch
        >>> from autodual.architectures import Normalise
        >>> Normalise((0.5,), (0.25,), (2,))(torch.tensor([[1.0, 0.5]], dtype=torch.float64))
        tensor([[2., 0.]], dtype=torch.float64)
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], shape: tuple[int, ...]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            if len(values) not in (1, shape[0]):
                raise InvalidInputError(
                    f"{name}= holds {len(values)} numbers; the inputs of shape {shape} want 1 or {shape[0]}."
                )
            channels = torch.tensor(values, dtype=torch.float64).reshape(-1, *[1] * (len(shape) - 1))
            self.register_buffer(name, channels)

    def forward(self, x: Tensor) -> Tensor:
        """The normalised inputs.

        Args:
            x: raw inputs `[N, *shape]`.
        """
        return (x - self.mean) / self.std
