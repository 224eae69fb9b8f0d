"""A set's numbers and tensors as the user gave them: checked, aligned with samples, put in words.

They are kept exactly as given and converted to the samples' dtype each time the set is placed, so that a radius of 0.1
for float64 samples has not been rounded to float32 before.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy
import torch
from torch import Tensor

from autodual.errors import EmptySetError, InvalidInputError
from autodual.inputs import Numbers, number_tensor
from autodual.requirements import require
from autodual.tensors import readable

Parameter: TypeAlias = Numbers
Domain: TypeAlias = "tuple[Parameter, Parameter] | None"


def exact(value: Parameter, name: str) -> Tensor:
    """The numbers as a tensor, unrounded: a float becomes float64, whatever the samples' dtype.

    Raises InvalidInputError if there are no numbers, or some are NaN or not real.
    """
    if type(value) is float and not math.isnan(value):
        return torch.tensor(value, dtype=torch.float64)
    tensor = number_tensor(value, name)
    if tensor.numel() == 0:
        raise InvalidInputError(f"{name} holds no number: its shape is {list(tensor.shape)}")
    require(~tensor.isnan().any(), lambda: InvalidInputError(f"{name} holds NaN; give a number"))
    return tensor


def checked_radius(value: Parameter) -> Tensor:
    """The exact radius; InvalidInputError unless it is finite and not negative throughout."""
    radius = exact(value, "radius")
    _require_radius(radius)
    return radius


def _require_radius(radius: Tensor) -> None:
    def refused() -> InvalidInputError:
        bad = radius[~(radius.isfinite() & (radius >= 0))]
        return InvalidInputError(f"the radius must be finite and not negative, but is {float(bad[0]):g}")

    least, greatest = radius.detach().aminmax()
    if readable(radius):
        require(float(least) >= 0 and float(greatest) < math.inf, refused)
    else:
        require((least >= 0) & (greatest < math.inf), refused)


def placed_radius(value: Parameter, centre: Tensor) -> tuple[Tensor, Tensor]:
    """The exact radius, aligned with the samples `[N, *shape]`, and the same in their dtype on their device.

    Raises InvalidInputError if it does not fit, or is too large for that dtype.
    """
    radius = aligned(value, centre, "radius", vector_is_per_sample=True)
    placed = like(radius, centre)
    if placed.dtype != radius.dtype:
        _require_radius(placed)
    return radius, placed


def check_ends(lower: Parameter, upper: Parameter, what: str) -> None:
    """Raise EmptySetError if a lower end lies above its upper end, InvalidInputError if shapes do not broadcast."""
    ends = exact(lower, f"{what}'s lower end"), exact(upper, f"{what}'s upper end")
    try:
        low, high = torch.broadcast_tensors(*(end.detach().cpu() for end in ends))
    except RuntimeError:
        raise InvalidInputError(
            f"{what}'s ends have the shapes {list(ends[0].shape)} and {list(ends[1].shape)}, which do not broadcast to "
            "each other"
        ) from None
    crossed = low > high

    def empty() -> EmptySetError:
        place = crossed.nonzero()[0].tolist()
        where = f" at {place}" if place else ""
        return EmptySetError(
            f"{what} is empty: its lower end {float(low[crossed][0]):g} lies above its upper end "
            f"{float(high[crossed][0]):g}{where}"
        )

    require(~crossed.any(), empty)


def checked_domain(domain: Any) -> Domain:
    """The domain as a pair, or None. Raises InvalidInputError if it is no pair, EmptySetError if its ends cross."""
    if domain is None:
        return None
    pair = isinstance(domain, (tuple, list)) or (isinstance(domain, (Tensor, numpy.ndarray)) and domain.ndim > 0)
    if not pair or len(domain) != 2:
        raise InvalidInputError(f"domain must be a pair (lower, upper), but is {domain!r}")
    check_ends(domain[0], domain[1], "the domain")
    return domain[0], domain[1]


def aligned(value: Parameter, centre: Tensor, name: str, vector_is_per_sample: bool = False) -> Tensor:
    """The exact tensor with as many axes as `centre` `[N, *shape]`, to which it broadcasts.

    Axes are matched from the right, as always in torch, except for a vector `[N]` of per-sample numbers.

    Args:
        value: a number, a tensor, an array or lists.
        centre: the samples.
        name: of the parameter, for messages.
        vector_is_per_sample: whether a vector holds one number for each sample.

    Raises:
        InvalidInputError: `value` holds no numbers, or does not broadcast to the samples.

    Example:
        >>> import torch
        >>> from autodual.extend import aligned
        >>> aligned([1.0, 2.0], torch.zeros(2, 3, 3), "radius", vector_is_per_sample=True).shape
        torch.Size([2, 1, 1])
    """
    tensor = exact(value, name)
    missing = centre.dim() - tensor.dim()
    if missing > 0 and tensor.dim() == 1 and vector_is_per_sample:
        tensor = tensor.reshape(-1, *[1] * missing)
    elif missing > 0:
        tensor = tensor.reshape(*[1] * missing, *tensor.shape)
    fits = tensor.dim() == centre.dim() and (
        tensor.numel() == 1 or all(have in (1, want) for have, want in zip(tensor.shape, centre.shape, strict=True))
    )
    if not fits:
        raise InvalidInputError(
            f"{name} has the shape {list(tensor.shape)}, which does not broadcast to the samples' "
            f"{list(centre.shape)}; give a number, one number per sample, or one per feature"
        )
    return tensor


def same_for_all(value: Parameter, centre: Tensor, name: str) -> bool:
    """Whether all samples have the same numbers; `value` as for `aligned`, where a vector is per sample."""
    tensor = aligned(value, centre, name, vector_is_per_sample=True)
    return bool((tensor == tensor[:1]).all())


def multiplied(value: Parameter, factor: float, name: str) -> Tensor | float:
    """The numbers times a factor; InvalidInputError unless that is finite and at least 0."""
    if not 0 <= factor < math.inf:
        raise InvalidInputError(f"a set is scaled by a factor of at least 0, not by {factor:g}")
    numbers = value if isinstance(value, (int, float, Tensor)) else exact(value, name)
    return numbers * factor


def like(tensor: Tensor, centre: Tensor) -> Tensor:
    """An exact tensor in the dtype and on the device of the samples.

    Args:
        tensor: as `aligned` makes it.
        centre: the samples.

    Example:
        >>> import torch
        >>> from autodual.extend import like
        >>> like(torch.tensor(0.5, dtype=torch.float64), torch.zeros(2, 3)).dtype
        torch.float32
    """
    return tensor.to(dtype=centre.dtype, device=centre.device)


def domain_ends(domain: Domain, centre: Tensor) -> tuple[Tensor, Tensor] | None:
    """Both ends of a domain, in the dtype of `centre` and broadcasting to it; the same for all samples."""
    if domain is None:
        return None
    ends = [aligned(end, centre, f"the domain's {side} end") for end, side in zip(domain, ("lower", "upper"))]
    if any(end.shape[0] > 1 for end in ends):
        raise InvalidInputError("the domain must be the same for all samples: leave out its sample axis")
    return like(ends[0], centre), like(ends[1], centre)


def summary(value: Parameter) -> float | dict[str, float]:
    """The number, or if there are several the least and the greatest of them."""
    tensor = exact(value, "a parameter of the set").detach()
    least, greatest = float(tensor.min()), float(tensor.max())
    return least if least == greatest else {"min": least, "max": greatest}


def words(value: Parameter) -> str:
    """`summary` in words."""
    found = summary(value)
    return f"{found['min']:.6g} to {found['max']:.6g}" if isinstance(found, dict) else f"{found:.6g}"


def clipping_words(domain: Domain) -> str:
    """Whether and to what a set is clipped, in words."""
    return "unclipped" if domain is None else f"clipped to [{words(domain[0])}, {words(domain[1])}]"


def domain_settings(domain: Domain) -> list[float | dict[str, float]] | None:
    """The domain as plain values."""
    return None if domain is None else [summary(domain[0]), summary(domain[1])]
