"""Checks of a checkpoint's content, before any of it is used: a file may hold anything.

It is compared with what the run itself would save now: the names, types, shapes and dtypes must be the same, and all
numbers finite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from autodual.errors import InvalidInputError, ModelFileError
from autodual.number_ranges import TYPE_WORDS, shown
from autodual.train.recipe import Recipe, assemble


class Unfit(Exception):
    """A part of a checkpoint is wrong; the message says which part, and what is wrong with it."""


def saved_recipe(name: str, state: Mapping[str, Any]) -> Recipe:
    """The recipe in a checkpoint. Raises ModelFileError where it is not valid."""
    try:
        return assemble(Recipe, state.get("recipe"))
    except InvalidInputError as error:
        raise ModelFileError(f"'{name}' is damaged: its recipe cannot be read ({error}).") from None


def require_like(place: str, found: Any, measure: Any) -> None:
    """Raise Unfit unless a value has the same structure as another one, the measure.

    Tensors must have the shape and the dtype of the measure's and be finite, mappings the same keys, lists the same
    length; numbers must be finite and of the same type, and not negative where the measure's are whole.
    """
    if isinstance(measure, Tensor):
        _require_tensor(place, found, measure)
    elif isinstance(measure, Mapping):
        require_keys(place, found, measure)
        for key, value in measure.items():
            require_like(f"{place}.{key}" if place else str(key), found[key], value)
    elif isinstance(measure, (list, tuple)):
        if type(found) is not type(measure) or len(found) != len(measure):
            raise Unfit(f"'{place}' must hold {len(measure)} values")
        for one, other in zip(found, measure):
            require_like(place, one, other)
    else:
        _require_plain(place, found, measure)


def require_keys(place: str, found: Any, measure: Mapping[Any, Any]) -> None:
    """Raise Unfit unless a value is a mapping with the same keys as another one."""
    if not isinstance(found, Mapping):
        raise Unfit(f"'{place}' must be a table" if place else "it is no table")
    where = f" in '{place}'" if place else ""
    for key in measure:
        if key not in found:
            raise Unfit(f"'{key}' is missing{where}")
    for key in found:
        if key not in measure:
            raise Unfit(f"{shown(key)} is unknown{where}")


def _require_tensor(place: str, found: Any, measure: Tensor) -> None:
    if not isinstance(found, Tensor) or found.layout != torch.strided or found.is_meta:
        raise Unfit(f"'{place}' must be a tensor of numbers")
    if found.shape != measure.shape or found.dtype != measure.dtype:
        raise Unfit(
            f"'{place}' is {found.dtype} of shape {list(found.shape)}, and must be {measure.dtype} of shape "
            f"{list(measure.shape)}"
        )
    if found.is_floating_point() and not bool(found.isfinite().all()):
        raise Unfit(f"'{place}' holds NaN or infinity")


def _require_plain(place: str, found: Any, measure: Any) -> None:
    if type(found) is not type(measure):
        raise Unfit(f"'{place}' must be {TYPE_WORDS.get(type(measure), type(measure).__name__)}, not {shown(found)}")
    if isinstance(found, float) and not math.isfinite(found):
        raise Unfit(f"'{place}' must be finite, not {found}")
    if type(found) is int and found < 0:
        raise Unfit(f"'{place}' must not be negative, but is {shown(found)}")
