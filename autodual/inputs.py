"""Converts what users pass in to tensors: samples, and numbers in arrays or lists. The same rules for all functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy
import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.tensors import unfit

#: Samples `[N, *shape]`, and labels: integers `[N]` or `[N, *positions]`.
Samples: TypeAlias = Tensor | numpy.ndarray
Labels: TypeAlias = Tensor | numpy.ndarray | Sequence[Any]
#: Coefficients of linear functions, and the like.
Numbers: TypeAlias = float | Tensor | numpy.ndarray | Sequence[Any]


def sample_tensor(x: Any, name: str = "x") -> Tensor:
    """Samples as a tensor `[N, *shape]`, in their own floating-point dtype.

    Lists are refused, since they do not say whether they hold float32 or float64.

    Args:
        x: a tensor or a NumPy array `[N, *shape]` of floating-point numbers.
        name: the argument's name, for messages.

    Raises:
        InvalidInputError: it is anything else, has no samples, or samples without numbers.

    Example:
        >>> import numpy
        >>> from autodual.inputs import sample_tensor
        >>> sample_tensor(numpy.zeros((2, 3))).dtype
        torch.float64
    """
    if isinstance(x, numpy.ndarray):
        x = _from_array(x, name)
    if not isinstance(x, Tensor):
        raise InvalidInputError(f"{name} must be a tensor or a NumPy array of samples [N, *shape], not {_kind(x)}")
    if x.dim() == 0:
        raise InvalidInputError(f"{name} must have the shape [N, *shape], but is a single number")
    if x.dtype == torch.uint8:
        raise InvalidInputError(
            f"{name} holds bytes (uint8), but networks take floating-point numbers; convert it as for training, most "
            "often with x.float() / 255"
        )
    if reason := unfit(x):
        raise InvalidInputError(f"{name} {reason}")
    if not x.is_floating_point():
        raise InvalidInputError(
            f"{name} must hold floating-point numbers, but has the dtype {x.dtype}; convert it, as with x.float()"
        )
    if x.shape[0] == 0:
        raise InvalidInputError(f"{name} holds no samples (its shape is {list(x.shape)}); give at least one")
    if x.numel() == 0:
        raise InvalidInputError(f"{name} holds samples without any numbers: its shape is {list(x.shape)}")
    return x


def number_tensor(value: Any, name: str) -> Tensor:
    """Real numbers as a tensor: floating-point tensors as they are, all else as float64, hence exact.

    Args:
        value: a number, a tensor, a NumPy array or nested lists.
        name: the argument's name, for messages.

    Raises:
        InvalidInputError: it is text, booleans, complex numbers or an irregular list.

    Example:
        >>> from autodual.inputs import number_tensor
        >>> number_tensor([1, 2], "c")
        tensor([1., 2.], dtype=torch.float64)
    """
    if type(value) is float:
        return torch.tensor(value, dtype=torch.float64)
    if isinstance(value, Tensor):
        tensor = value
    else:
        tensor = _from_array(_as_array(value, name), name)
    if reason := unfit(tensor):
        raise InvalidInputError(f"{name} {reason}")
    if tensor.dtype == torch.bool:
        raise InvalidInputError(f"{name} must hold real numbers, but has the dtype {tensor.dtype}")
    return tensor if tensor.is_floating_point() and isinstance(value, Tensor) else tensor.double()


def _as_array(value: Any, name: str) -> numpy.ndarray:
    if isinstance(value, str):
        raise InvalidInputError(f"{name} must be a number, but is the text {value!r}; write numbers without quotes")
    try:
        array = numpy.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        array = numpy.empty(0, object)
    if array.dtype.kind not in "iuf":
        raise InvalidInputError(f"{name} must be a number or a regular array of numbers, but is {_brief(value)}")
    return array


def _from_array(array: numpy.ndarray, name: str) -> Tensor:
    """A copy of an array in the machine's byte order, as a tensor."""
    try:
        return torch.from_numpy(numpy.array(array, dtype=array.dtype.newbyteorder("=")))
    except TypeError:
        raise InvalidInputError(
            f"{name} has the dtype {array.dtype}, which torch does not have; use float32 or float64"
        ) from None


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__} with other contents"
