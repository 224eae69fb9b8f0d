"""Ends of intervals in the dtype of a call, rounded outwards so that they enclose what they did."""

from __future__ import annotations

import torch
from torch import Tensor


def rounded_outwards(end: Tensor, x: Tensor, *, down: bool) -> Tensor:
    """An end in x's dtype on x's device, moved to the next number outwards where the conversion moved it inwards."""
    near = end.to(dtype=x.dtype, device=x.device)
    if end.dtype == x.dtype:
        return near
    outwards = torch.full_like(near, -torch.inf if down else torch.inf)
    error = near.double() - end.to(x.device).double()
    return torch.where(error > 0 if down else error < 0, near.detach().nextafter(outwards), near)
