"""Turning arrays of images and labels into checked tensors."""

from __future__ import annotations

from pathlib import Path

import numpy
import torch
from torch import Tensor

from autodual.errors import DataError
from autodual.limits import MEMORY
from autodual.policies import IGNORED
from autodual.tensors import all_finite, flat


def as_inputs(name: str, array: numpy.ndarray) -> tuple[Tensor, str]:
    """Inputs `[N, *shape]`, and a phrase for how they were scaled.

    Bytes are divided by 255 in float32; floating-point numbers stay as they are, half precision becomes float32.

    Raises:
        DataError: another dtype, no sample axis, no samples, or NaN or infinity (the message names the sample).
        BudgetError: the samples would take more memory than those of a file may.
    """
    if array.ndim < 1 or array.size == 0:
        raise DataError(f"The inputs of '{name}' have shape {array.shape}; expected one or more samples [N, ...].")
    if array.dtype == numpy.uint8:
        MEMORY.require(name, "its samples", 4 * array.size)
        stored = torch.from_numpy(numpy.require(array, requirements=["C", "W"]))
        return stored.to(torch.float32).div_(255), "bytes divided by 255"
    if array.dtype.kind != "f":
        raise DataError(f"The inputs of '{name}' are of type {array.dtype}; expected floating point, or bytes (uint8).")
    if array.dtype.itemsize > 8:
        raise DataError(f"The inputs of '{name}' are of type {array.dtype}; expected at most 64 bits per number.")
    kept = numpy.float64 if array.dtype.itemsize == 8 else numpy.float32  # half precision widens exactly
    MEMORY.require(name, "its samples", array.size * numpy.dtype(kept).itemsize)
    inputs = torch.from_numpy(numpy.require(array, kept, ["C", "W"]))
    if not all_finite(inputs):
        finite = flat(inputs.isfinite()).all(1)
        raise DataError(f"Sample {int((~finite).nonzero()[0])} of '{name}' holds NaN or infinity.")
    return inputs, "as stored"


def as_labels(name: str, array: numpy.ndarray, samples: int) -> Tensor:
    """Labels as int64 `[N]`, or label maps `[N, *positions]`.

    Raises:
        DataError: another dtype, not one label per sample, or a negative label that is not `IGNORED`.
    """
    if array.ndim < 1 or array.shape[0] != samples or array.size == 0:
        raise DataError(
            f"'{name}' holds {samples} samples but labels of shape {array.shape}; expected ({samples},), or label maps "
            f"({samples}, ...)."
        )
    if array.dtype.kind not in "iu":
        raise DataError(
            f"The labels of '{name}' are of type {array.dtype}; expected integers (a regressor's data need none)."
        )
    labels = torch.from_numpy(array.astype(numpy.int64))
    bad = (labels < 0) & (labels != IGNORED)
    if bad.any():
        index = int(bad.nonzero()[0, 0])
        raise DataError(
            f"The label of sample {index} of '{name}' is {int(labels[bad][0])}; labels start at 0, and {IGNORED} marks "
            "what is to be ignored."
        )
    return labels


def require_range(path: Path, labels: numpy.ndarray, first: int, last: int) -> None:
    """Refuse labels `[N]`, as stored in the file, below `first` or above `last`.

    Raises:
        DataError: there is such a label; the message names its sample.
    """
    outside = (labels < first) | (labels > last)
    if outside.any():
        index = int(outside.argmax())
        raise DataError(f"The label of sample {index} in '{path}' is {labels[index]}; expected {first} to {last}.")
