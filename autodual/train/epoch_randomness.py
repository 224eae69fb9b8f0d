"""Warns of modules that bounds ignore in training: their outputs are random, or differ from those in inference.

A bound holds for one network. Dropout makes another network at each pass, so bounds are those of the network without
dropout, and a warning says so once.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.utils._python_dispatch import TorchDispatchMode

from autodual.train.clean_pass import floating_dtype, in_mode, tracking_norms

# The models that a warning was given for.
_told: weakref.WeakSet[nn.Module] = weakref.WeakSet()


def warn_of_randomness(model: nn.Module, x: Tensor) -> None:
    """Warn, once for each model, of modules whose outputs in training mode bounds cannot take into account.

    One pass over x `[N, *shape]` finds them. It neither changes the model nor advances torch's generators.
    """
    if model in _told:
        return
    _told.add(model)
    names = [*random_modules(model, x), *_other_modules(model)]
    if names:
        listed = ", ".join(f"'{name}'" if name else "the model's own forward" for name in dict.fromkeys(names))
        warnings.warn(
            f"Bounds are those of inference mode for {listed}: a bound cannot hold for outputs that are random, as "
            "dropout's are, or normalised by each input's own statistics; losses of outputs use them as they train.",
            stacklevel=2,
        )


@torch.no_grad()
def random_modules(model: nn.Module, x: Tensor) -> list[str]:
    """The innermost modules that draw random numbers in a pass over x `[N, *shape]`, each in its own mode."""
    watch = _Watch()
    copies = {name: buffer.clone() for name, buffer in model.named_buffers()}
    devices = [x.device] if x.device.type == "cuda" else []
    with torch.random.fork_rng(devices), in_mode(tracking_norms(model).values(), False), watch.following(model), watch:
        torch.func.functional_call(model, copies, (x.to(floating_dtype(model, x.dtype)),))
    return watch.found


def _other_modules(model: nn.Module) -> list[str]:
    """Instance norms that use running statistics in inference only."""
    norms = ((name, module) for name, module in model.named_modules() if isinstance(module, _InstanceNorm))
    return [name for name, module in norms if module.training and module.track_running_stats]


class _Watch(TorchDispatchMode):
    """Notes in which module an operation takes numbers from a generator."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags:
            self.found.append(self._inside[-1] if self._inside else "")
        return func(*args, **(kwargs or {}))

    @contextmanager
    def following(self, model: nn.Module) -> Iterator[None]:
        """Inside, the watch knows the name of the module that is running."""
        handles = []
        for name, module in model.named_modules():
            handles.append(module.register_forward_pre_hook(lambda *_, name=name: self._inside.append(name)))
            handles.append(module.register_forward_hook(lambda *_: self._left(), always_call=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _left(self) -> None:
        self._inside.pop()
