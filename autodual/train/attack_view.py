"""How an attack sees a network that is being trained. It teaches the network nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from autodual.attacks.base import Function
from autodual.train.clean_pass import in_mode, learning_norms, learning_pass
from autodual.train.underflow import without_underflow

#: As it trains, batch norms normalising by the attacked points' own statistics, or as inference runs it.
AttackMode = Literal["training", "evaluation"]


@contextmanager
def seen_network(model: nn.Module, mode: AttackMode) -> Iterator[Function]:
    """Inside, the model as a function of points `[N, *shape]`; afterwards its modes and buffers are as they were."""
    if mode == "evaluation":
        with in_mode(model.modules(), False):
            yield without_underflow(partial(learning_pass, model))  # nothing learns in this mode
        return
    norms = learning_norms(model)
    buffers = _other_buffers(model, norms)
    before = [buffer.clone() for buffer in buffers]
    for norm in norms.values():
        norm.track_running_stats = False  # a batch norm then normalises in the same way, and updates nothing
    try:
        yield without_underflow(partial(learning_pass, model))
    finally:
        for norm in norms.values():
            norm.track_running_stats = True
        with torch.no_grad():
            for buffer, value in zip(buffers, before):
                buffer.copy_(value)


def _other_buffers(model: nn.Module, norms: Mapping[str, nn.Module]) -> list[Tensor]:
    """Buffers that a pass may change, such as the vectors of spectral norms: all but those of these norms."""
    own = {id(buffer) for norm in norms.values() for buffer in norm.buffers(recurse=False)}
    return [buffer for buffer in model.buffers() if id(buffer) not in own]
