"""The numbers and tensors that describe a set, as the user gave them: checked, lined up with samples, put in words.

They are kept exactly as given and converted to the samples' dtype at each binding, so that a ball of radius 0.1 in
float64 is not the float64 image of float32's 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy
import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.tensors import unfit

Parameter: TypeAlias = "float | Tensor | numpy.ndarray | Sequence[Any]"
Domain: TypeAlias = "tuple[Parameter, Parameter] | None"


def exact(value: Parameter, name: str) -> Tensor:
    """A tensor as it is; anything else as a float64 tensor, which holds Python's numbers exactly."""
    if isinstance(value, Tensor):
        tensor = value
    else:
        try:
            tensor = torch.as_tensor(value, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InvalidInputError(f"{name} must be a number or a tensor of numbers, but is {value!r}") from error
    if reason := unfit(tensor):
        raise InvalidInputError(f"{name} {reason}")
    if tensor.isnan().any():
        raise InvalidInputError(f"{name} holds NaN; give a number")
    return tensor


def aligned(value: Parameter, centre: Tensor, name: str, vector_is_per_sample: bool = False) -> Tensor:
    """The exact tensor with as many axes as `centre` `[N, *shape]`, to which it broadcasts.

    Axes are matched from the right, as always in torch, but for the vector `[N]` of per-sample numbers.
    """
    tensor = exact(value, name)
    missing = centre.dim() - tensor.dim()
    if missing > 0 and tensor.dim() == 1 and vector_is_per_sample:
        tensor = tensor.reshape(-1, *[1] * missing)
    elif missing > 0:
        tensor = tensor.reshape(*[1] * missing, *tensor.shape)
    fits = tensor.dim() == centre.dim() and all(
        have in (1, want) for have, want in zip(tensor.shape, centre.shape, strict=True)
    )
    if not fits:
        raise InvalidInputError(
            f"{name} has the shape {list(tensor.shape)}, which does not broadcast to the samples' "
            f"{list(centre.shape)}; give a number, one number per sample, or one per feature"
        )
    return tensor


def like(tensor: Tensor, centre: Tensor) -> Tensor:
    """An exact tensor in the dtype and on the device of the samples."""
    return tensor.to(dtype=centre.dtype, device=centre.device)


def domain_ends(domain: Domain, centre: Tensor) -> tuple[Tensor, Tensor] | None:
    """Both ends of a domain, in the dtype of `centre` and broadcasting to it; the same for all samples."""
    if domain is None:
        return None
    if not isinstance(domain, (tuple, list)) or len(domain) != 2:
        raise InvalidInputError(f"domain must be a pair (lower, upper), but is {domain!r}")
    ends = [aligned(end, centre, name) for end, name in zip(domain, ("the domain's lower end", "its upper end"))]
    if any(end.shape[0] > 1 for end in ends):
        raise InvalidInputError("the domain must be the same for all samples: leave out its sample axis")
    return like(ends[0], centre), like(ends[1], centre)


def summary(value: Parameter) -> float | dict[str, float]:
    """A number, or the least and greatest of many."""
    tensor = exact(value, "a parameter of the set").detach()
    least, greatest = float(tensor.min()), float(tensor.max())
    return least if least == greatest else {"min": least, "max": greatest}


def words(value: Parameter) -> str:
    """The summary in words."""
    found = summary(value)
    return f"{found['min']:.6g} to {found['max']:.6g}" if isinstance(found, dict) else f"{found:.6g}"


def clipping_words(domain: Domain) -> str:
    """How a set meets its domain, in words."""
    return "unclipped" if domain is None else f"clipped to [{words(domain[0])}, {words(domain[1])}]"


def domain_settings(domain: Domain) -> list[float | dict[str, float]] | None:
    """The domain as plain values."""
    return None if domain is None else [summary(domain[0]), summary(domain[1])]
