"""Wrappers around the user's module: those that only run it in another way are taken off, others are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from autodual.errors import TraceError

_PARALLEL = (DataParallel, DistributedDataParallel)
_QUANTISED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.ao.nn.sparse.quantized")
_SCRIPTED = "TorchScript cannot be traced; pass the nn.Module that it was made of, or an archive of torch.export"


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside torch.compile, DataParallel and DistributedDataParallel, in any order; they change no output.

    Args:
        model: the module with its wrappers, or one that has none.

    Returns:
        The module that the user wrote.

    Raises:
        TraceError: a wrapper has a hook, which may change the output.

    Example:
        >>> import torch
        >>> from autodual.frontend import unwrapped
        >>> unwrapped(torch.nn.DataParallel(torch.nn.ReLU()))
        ReLU()
    """
    while (inner := _inner(model)) is not None:
        if vars(model)["_forward_hooks"] or vars(model)["_forward_pre_hooks"]:
            raise TraceError(
                f"A hook is registered on the {type(model).__name__} around the model; register it on what is inside."
            )
        model = inner
    return model


def _inner(model: nn.Module) -> nn.Module | None:
    """The module that a wrapper wraps, or None."""
    found = model.module if isinstance(model, _PARALLEL) else getattr(model, "_orig_mod", None)
    return found if isinstance(found, nn.Module) else None


def refuse_foreign(model: nn.Module) -> None:
    """Raise TraceError, naming the module, where a part of the model is no Python code over plain tensors."""
    for path, module in model.named_modules():
        where = f"The module '{path}'" if path else "The model"
        if isinstance(module, torch.jit.ScriptModule):
            raise TraceError(f"{where} is a {type(module).__name__}: {_SCRIPTED}.")
        if type(module).__module__.startswith(_QUANTISED):
            raise TraceError(
                f"{where} is quantised ({type(module).__name__}); bounds are of real arithmetic, so pass the network "
                "from before it was quantised."
            )
        if type(module).__name__ == "FullyShardedDataParallel":
            raise TraceError(f"{where} is sharded over processes; gather its state dict into the plain module.")


def pass_through(modules: Iterable[nn.Module]) -> None:
    """Let the parallel wrappers among some modules call what they wrap, where it is; `inference` takes that back."""
    for module in modules:
        if isinstance(module, _PARALLEL):
            vars(module)["forward"] = _calling(module.module)


def _calling(module: nn.Module) -> Callable[..., Any]:
    return lambda *args, **kwargs: module(*args, **kwargs)
