"""Running a model as it is deployed, and leaving it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
