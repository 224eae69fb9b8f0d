"""Running a model, as it is or as it is deployed, and leaving it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from autodual.attacks.base import Function


@contextmanager
def evaluation_mode(function: Function) -> Iterator[None]:
    """A context in which a module is in evaluation mode; afterwards its flags are as before.

    The flags are set directly, since an overridden `train()` may do more than switch modes. Nothing is done to a
    function that is no module.
    """
    modules = list(function.modules()) if isinstance(function, nn.Module) else []
    before = [module.training for module in modules]
    try:
        for module in modules:
            module.training = False
        yield
    finally:
        for module, training in zip(modules, before, strict=True):
            module.training = training


@contextmanager
def unchanged(function: Function) -> Iterator[None]:
    """A context after which a module in training mode has the buffers that it had, such as a batch norm's statistics.

    An attack sees the network as it is, and must not teach it. Nothing is done to a module in evaluation mode, which
    learns nothing, nor to a function that is no module.
    """
    modules = list(function.modules()) if isinstance(function, nn.Module) else []
    learning = modules if any(module.training for module in modules) else []
    before = [(module, dict(module._buffers)) for module in learning]
    # Those that were made in inference mode cannot change.
    kept = [one for _, own in before for one in own.values() if one is not None and not one.is_inference()]
    copies = [one.clone() for one in kept]
    try:
        yield
    finally:
        with torch.no_grad():
            for module, own in before:
                module._buffers.update(own)
            for one, values in zip(kept, copies, strict=True):
                one.copy_(values)
