"""Intervals of bound sites that were proved elsewhere: checked, and rounded outwards to the dtype of a call."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from autodual.errors import EmptySetError, InvalidInputError
from autodual.interval import Interval
from autodual.passes.plan import Plan
from autodual.tensors import unfit


def checked_known(known: Mapping[str, Interval] | None, plan: Plan, x: Tensor) -> dict[str, Interval]:
    """The intervals `[N or 1, *shape]` by bound site, in x's dtype on x's device; they contain those given.

    Raises InvalidInputError for a name that is no bound site (its interval would be named as an assumption and help
    nothing), a wrong shape or NaN, and EmptySetError where lower > upper, of which anything could be proved.
    """
    return {name: _checked(name, interval, plan, x) for name, interval in (known or {}).items()}


def _checked(name: str, interval: Interval, plan: Plan, x: Tensor) -> Interval:
    if name not in plan.sites:
        sites = ", ".join(plan.sites) or "none"
        raise InvalidInputError(
            f"'{name}' is not a bound site of this network, so nothing can be known of it ({sites})"
        )
    shape = plan.graph[name].shape
    for end in (interval.lower, interval.upper):
        if reason := unfit(end):
            raise InvalidInputError(f"the known interval of '{name}' {reason}")
        if tuple(end.shape) not in ((x.shape[0], *shape), (1, *shape)):
            raise InvalidInputError(
                f"the known interval of '{name}' has the shape {list(end.shape)}; expected {[x.shape[0], *shape]}"
            )
        if bool(end.isnan().any()):
            raise InvalidInputError(f"the known interval of '{name}' holds NaN; leave an end open with an infinity")
    if bool((interval.lower > interval.upper).any()):
        raise EmptySetError(f"the known interval of '{name}' is empty (lower > upper)")
    return Interval(_rounded(interval.lower, x, down=True), _rounded(interval.upper, x, down=False))


def _rounded(end: Tensor, x: Tensor, *, down: bool) -> Tensor:
    """An end in x's dtype, moved to the next number outwards where the conversion moved it inwards."""
    near = end.to(dtype=x.dtype, device=x.device)
    outwards = torch.full_like(near, -torch.inf if down else torch.inf)
    error = near.double() - end.to(x.device).double()
    return torch.where(error > 0 if down else error < 0, near.detach().nextafter(outwards), near)
