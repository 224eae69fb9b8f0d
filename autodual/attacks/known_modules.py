"""Which functions do the same each time they are run: modules whose outputs depend on their tensors alone."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from autodual.attacks.base import Function
from autodual.recordings import Walk, unwatched
from autodual.registration import ours

_TORCH = "torch.nn.modules."


@dataclass(frozen=True, eq=False)
class Known:
    """A module, its parameters and buffers, and all else that tells what it does from what others do."""

    module: nn.Module
    tensors: list[Tensor]
    key: Hashable


def known(function: Function) -> Known | None:
    """What there is to know of a function; None unless it is a module whose runs depend on nothing else.

    All its modules must be PyTorch's or this package's, without hooks. A user's module may read anything.
    """
    if not isinstance(function, nn.Module) or not unwatched() or _has_any_global_hook():
        return None
    if torch.is_autocast_enabled("cpu") or torch.is_anomaly_enabled():
        return None
    walk = Walk(_does_the_same)
    walk.add(function)
    if not walk.known or any(one.device.type != "cpu" for one in walk.tensors):
        return None
    return Known(function, walk.tensors, (*walk.parts, *(one.requires_grad for one in walk.tensors)))


def _does_the_same(kind: type) -> bool:
    if ours(kind):
        return True
    return issubclass(kind, nn.Module) and all(
        one.__module__.startswith(_TORCH) for one in (kind, kind.forward, kind.__call__)
    )
