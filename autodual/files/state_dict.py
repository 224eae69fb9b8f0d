"""Filling a network's architecture with the weights of a state dict."""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import nn

from autodual.errors import ModelFileError
from autodual.files.architecture import Factory, build
from autodual.files.modules import check_real
from autodual.files.prefixes import renamed


def find_state_dict(name: str, content: object) -> dict[str, torch.Tensor]:
    """The state dict in an unpickled checkpoint: itself, or its entry `state_dict`, `model_state_dict`, `model`, `net`.

    Raises:
        ModelFileError: there is none, or several.
    """
    for key in ("state_dict", "model_state_dict", "model", "net"):
        if isinstance(content, dict) and isinstance(content.get(key), (dict, list, tuple)):
            content = content[key]
    if isinstance(content, (list, tuple)) and content and all(isinstance(item, dict) for item in content):
        raise ModelFileError(
            f"'{name}' holds {len(content)} state dicts, a cascade; load it as one, with load_cascade."
        )
    if not is_state_dict(content) or not content:
        raise ModelFileError(f"'{name}' holds neither a model nor a state dict{_described(content)}.")
    return content


def _described(content: object) -> str:
    """What the content is instead, for messages."""
    if not isinstance(content, dict) or not content:
        return f", but a {type(content).__name__}"
    keys = _shorten([str(key)[:40] for key in content])
    return f", but a dictionary of {keys}; save the state dict by itself, or under the key 'state_dict'"


def is_state_dict(content: object) -> TypeGuard[dict[str, torch.Tensor]]:
    """Whether a value is a dictionary from names to tensors; it may be empty."""
    return isinstance(content, dict) and all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in content.items()
    )


def load_state_dict(name: str, state: dict[str, torch.Tensor], factory: Factory | None) -> nn.Module:
    """`factory()` with the weights `state`.

    Raises:
        ModelFileError: no factory was given, or the keys or shapes do not match its module.
    """
    if factory is None:
        raise ModelFileError(
            f"'{name}' holds weights only; say which network they belong to with factory='package.module:factory'."
        )
    model = build(factory)
    fill(name, model, state)
    return model


def fill(name: str, model: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """Load the weights `state` into a module; their names may be those of a wrapper around it.

    Raises:
        ModelFileError: keys, shapes or kinds of numbers do not match.
        InvalidInputError: a weight is not a dense array of real numbers (it is complex, sparse or quantised).
    """
    model.load_state_dict(fitting(name, model, state))


def fitting(name: str, model: nn.Module, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights `state` under the names of a module, which may be on `meta`; raises as `fill` does."""
    expected = model.state_dict()
    state = renamed(state, expected)
    check_real(name, state)
    missing = sorted(expected.keys() - state.keys())
    unexpected = sorted(state.keys() - expected.keys())
    if missing or unexpected:
        parts = [f"{word} {_shorten(keys)}" for word, keys in (("lacks", missing), ("has unknown", unexpected)) if keys]
        raise ModelFileError(f"'{name}' does not fit the architecture: it {' and '.join(parts)}.")
    for key, tensor in state.items():
        if tensor.shape != expected[key].shape:
            raise ModelFileError(
                f"'{name}' does not fit the architecture: '{key}' has shape {tuple(tensor.shape)}, "
                f"the network wants {tuple(expected[key].shape)}."
            )
        if expected[key].is_floating_point() and not tensor.is_floating_point():
            raise ModelFileError(
                f"'{name}' does not fit the architecture: '{key}' holds {str(tensor.dtype).removeprefix('torch.')} "
                "numbers in place of floating ones; store the weights that the network computes with."
            )
    return state


def _shorten(keys: list[str], limit: int = 4) -> str:
    shown = ", ".join(f"'{key}'" for key in keys[:limit])
    return f"{shown} and {len(keys) - limit} more" if len(keys) > limit else shown
