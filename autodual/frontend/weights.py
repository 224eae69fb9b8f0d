"""Refusing models whose parameters, buffers or constants are no finite real numbers."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.tensors import all_finite, unfit


def require_fit(tensors: Mapping[str, Tensor]) -> None:
    """Raise InvalidInputError naming the first parameter, buffer or constant that is no array of real numbers."""
    for name, tensor in tensors.items():
        if reason := unfit(tensor):
            raise InvalidInputError(f"'{name}' {reason}.")


def require_finite(tensors: Mapping[str, Tensor]) -> None:
    """Refuse a model of which some number is NaN or infinite: nothing can be bounded then.

    Args:
        tensors: parameters, buffers and constants by the names that a message calls them.

    Raises:
        InvalidInputError: a tensor holds NaN or infinity, or is no array of real numbers; it names the first one.

    Example:
        >>> import torch
        >>> from autodual.frontend import require_finite
        >>> require_finite(dict(torch.nn.Linear(2, 3).named_parameters()))
    """
    require_fit(tensors)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not all_finite(tensor):
            raise InvalidInputError(
                f"'{name}' holds NaN or infinity; no bound exists for such a network, so repair it."
            )
