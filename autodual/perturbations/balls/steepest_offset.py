"""The maximiser of a linear function over a ball of finite order cut to a box."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.perturbations.balls.nearest_offset import shorter_offset
from autodual.perturbations.balls.room import Room

# How many of the steepest features are looked at first; four times as many if their room does not use up the ball.
_FEATURES = 64


def steepest_offset(order: float, profile: Tensor, room: Room, reach: Tensor) -> Tensor:
    """For p > 1: offsets along `profile` which, once clamped to the box, have the p-norm `reach`, or fill the box.

    Args:
        order: p, in (1, inf).
        profile: the maximiser's direction in the whole ball, its largest size 1, `[*, N, n]`; 0 where there is none.
        room: the box.
        reach: `[N, 1]`.
    """
    full = (room.most(profile) / profile.abs()) ** order
    full = full.nan_to_num(0, torch.finfo(full.dtype).max).amax(-1, keepdim=True)
    return shorter_offset(order, profile, room, reach, full)


def filled_offset(gradient: Tensor, room: Room, reach: Tensor) -> Tensor:
    """For p = 1: offsets that move the features of largest |gradient| to their ends until the reach is used up.

    Args:
        gradient: `[*, N, n]`.
        room: the box.
        reach: `[N, 1]`.
    """
    most = room.most(gradient)
    further = (most - room.gap).expand_as(gradient)
    left = (reach - room.gap.sum(-1, keepdim=True)).relu()
    order = gradient.abs() * further.sign()
    features, count = gradient.shape[-1], min(_FEATURES, gradient.shape[-1])
    while True:
        best = order.topk(count, -1).indices
        room_of = further.gather(-1, best)
        used = room_of.cumsum(-1)
        if count == features or bool((used[..., -1:] >= left).all()):
            break
        count = min(4 * count, features)
    spent = (left - (used - room_of)).clamp(min=0).minimum(room_of)
    return (room.gap + torch.zeros_like(gradient).scatter(-1, best, spent)) * gradient.sign()
