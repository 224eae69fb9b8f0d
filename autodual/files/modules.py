"""The `torch.nn` classes that a pickled model may consist of, and the check that its objects are nothing else."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import torch
from torch import nn
from torch.nn.modules import (
    activation,
    batchnorm,
    channelshuffle,
    container,
    conv,
    dropout,
    flatten,
    fold,
    instancenorm,
    linear,
    normalization,
    padding,
    pixelshuffle,
    pooling,
    upsampling,
)

from autodual.errors import InvalidInputError, ModelFileError
from autodual.tensors import all_finite, unfit

# Left out on purpose: recurrent, transformer, quantised, lazy and data-parallel modules, and losses with a callable.
_SOURCES: tuple[ModuleType, ...] = (
    activation, batchnorm, channelshuffle, container, conv, dropout, flatten, fold, instancenorm, linear,
    normalization, padding, pixelshuffle, pooling, upsampling,
)  # fmt: skip

_HOOKS = (
    "_backward_hooks", "_backward_pre_hooks", "_forward_hooks", "_forward_hooks_always_called",
    "_forward_hooks_with_kwargs", "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs", "_load_state_dict_post_hooks",
    "_load_state_dict_pre_hooks", "_state_dict_hooks", "_state_dict_pre_hooks",
)  # fmt: skip
_REGISTRIES = ("_parameters", "_buffers", "_modules")
_PLAIN = (type(None), bool, int, float, str, torch.Size, torch.dtype, torch.device)


def allowed_classes() -> list[type]:
    """The standard layers and containers of `torch.nn`; none of them calls its arguments while it is built."""
    found = {nn.Module}
    for source in _SOURCES:
        for value in vars(source).values():
            if isinstance(value, type) and issubclass(value, nn.Module) and "Lazy" not in value.__name__:
                found.add(value)
    return sorted(found, key=lambda cls: cls.__qualname__)


def check_module(name: str, model: nn.Module) -> None:
    """Raise ModelFileError unless every object under `model` is a standard layer with plain attributes and no hooks.

    Unpickling can set any attribute, such as one that hides the class's `forward`.
    """
    allowed = frozenset(allowed_classes())
    pending: list[tuple[str, object]] = [("model", model)]
    seen: set[int] = set()
    while pending:
        path, module = pending.pop()
        if not isinstance(module, nn.Module) or type(module) not in allowed:
            raise ModelFileError(
                f"'{name}' is refused: '{path}' is a {type(module).__qualname__}, not a layer of torch.nn."
            )
        if id(module) in seen:
            continue
        seen.add(id(module))
        _check_attributes(name, path, module)
        pending.extend((f"{path}.{key}", child) for key, child in vars(module)["_modules"].items() if child is not None)
    _check_acyclic(name, model)


def _check_attributes(name: str, path: str, module: nn.Module) -> None:
    attributes = vars(module)
    for registry in _REGISTRIES:
        if type(attributes.get(registry)) not in (dict, OrderedDict) or not _string_keys(attributes[registry]):
            raise ModelFileError(f"'{name}' is refused: '{path}' has no proper '{registry}'.")
    for key, value in attributes.items():
        if key in _HOOKS and type(value) in (dict, OrderedDict) and not value:
            continue
        if key == "_parameters":
            proper = all(value is None or type(value) is nn.Parameter for value in value.values())
        elif key == "_buffers":
            proper = all(value is None or type(value) is torch.Tensor for value in value.values())
        elif key == "_non_persistent_buffers_set":
            proper = type(value) is set and all(type(item) is str for item in value)
        elif key == "_compiled_call_impl":
            proper = value is None
        else:
            proper = key == "_modules" or (key not in _HOOKS and _is_plain(value) and not _is_method(type(module), key))
        if not proper:
            raise ModelFileError(
                f"'{name}' is refused: the attribute '{key}' of '{path}' could execute code or is not plain data."
            )


def _string_keys(registry: dict[Any, Any]) -> bool:
    return all(type(key) is str for key in registry)


def _is_plain(value: object, depth: int = 0) -> bool:
    if type(value) in (tuple, list) and depth < 4:
        return all(_is_plain(item, depth + 1) for item in value)  # type: ignore[attr-defined]
    return type(value) in _PLAIN


def _is_method(cls: type, key: str) -> bool:
    """Whether an instance attribute of this name would hide a method or property of the class."""
    inherited = getattr(cls, key, None)
    return key.startswith("__") or callable(inherited) or isinstance(inherited, property)


def _check_acyclic(name: str, model: nn.Module) -> None:
    """Refuse a module that contains itself, which would recurse for ever; shared modules are fine."""
    finished: set[int] = set()
    open_modules: set[int] = set()
    stack: list[tuple[nn.Module, bool]] = [(model, False)]
    while stack:
        module, leaving = stack.pop()
        if leaving:
            open_modules.discard(id(module))
            finished.add(id(module))
        elif id(module) in open_modules:
            raise ModelFileError(f"'{name}' is refused: one of its modules contains itself.")
        elif id(module) not in finished:
            open_modules.add(id(module))
            stack.append((module, True))
            stack.extend((child, False) for child in vars(module)["_modules"].values() if child is not None)


def check_real(name: str, tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise InvalidInputError naming the first parameter or buffer that is not a dense array of real numbers."""
    for key, tensor in tensors.items():
        if reason := unfit(tensor):
            raise InvalidInputError(f"'{name}' cannot be certified: its parameter '{key}' {reason}.")


def check_finite(name: str, tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise InvalidInputError naming the first parameter or buffer that is not real, or holds NaN or infinity."""
    check_real(name, tensors)
    for key, tensor in tensors.items():
        if not all_finite(tensor):
            raise InvalidInputError(f"'{name}' cannot be certified: its parameter '{key}' holds NaN or infinity.")
