"""Boxes whose ends are arrays in files: the set that `--box LOWER.npy,UPPER.npy` names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from autodual.errors import DataError, InvalidInputError
from autodual.limits.array_headers import load_array
from autodual.perturbations.box import Box, BoxRegion
from autodual.perturbations.perturbation import PerturbationSet


@dataclass(frozen=True, eq=False)
class BoxOfFiles(PerturbationSet):
    """The boxes between the arrays of two .npy files: one for all samples, or one for each sample of a data set.

    Args:
        box: the names of the files with the lower and with the upper ends.
        per_sample: whether each file has an axis of samples, once the data set is known (`for_data`).
        chosen: the samples of the data set whose boxes these are; None for all.

    Raises:
        DataError: a file is absent or damaged, or holds something else than finite numbers.
        InvalidInputError: there are not two files.

    Example:
        >>> import numpy, tempfile, torch
        >>> from autodual.perturbations import choose_set
        >>> folder = tempfile.TemporaryDirectory()
        >>> ends = [f"{folder.name}/{name}.npy" for name in ("lower", "upper")]
        >>> for end, value in zip(ends, (0.0, 1.0)):
        ...     numpy.save(end, numpy.full((5, 2), value))
        >>> boxes = choose_set("box", {"box": ends}).make().for_data((2,), 5)
        >>> boxes.of_samples(torch.tensor([3])).at(torch.zeros(1, 2)).enclosure().upper
        tensor([[1., 1.]])
    """

    box: Sequence[str]
    per_sample: tuple[bool, bool] = (False, False)
    chosen: Tensor | None = None

    def __post_init__(self) -> None:
        if len(self.box) != 2:
            raise InvalidInputError(f"box '{','.join(self.box)}' must name two files, LOWER.npy,UPPER.npy")
        _ = self.ends

    @cached_property
    def ends(self) -> tuple[numpy.ndarray, numpy.ndarray]:
        """The lower and the upper ends as stored."""
        return _read_array(self.paths[0]), _read_array(self.paths[1])

    @property
    def paths(self) -> tuple[Path, Path]:
        """Where the files are."""
        lower, upper = (Path(part.strip()) for part in self.box)
        return lower, upper

    @property
    def files(self) -> str:
        """The files as the command line names them."""
        return ",".join(self.box)

    @property
    def sha256(self) -> str:
        """Of both arrays, which tells boxes apart wherever their files are."""
        return hashlib.sha256(b"".join(end.tobytes() for end in self.ends)).hexdigest()

    def for_data(self, shape: Sequence[int], count: int) -> BoxOfFiles:
        shape = tuple(shape)
        for name, end in zip(self.box, self.ends, strict=True):
            if end.shape not in (shape, (count, *shape)):
                raise DataError(
                    f"'{name}' has shape {end.shape}; expected {shape}, or {(count, *shape)} for a box per sample."
                )
        lower, upper = (end.ndim > len(shape) for end in self.ends)
        return replace(self, per_sample=(lower, upper))

    def of_samples(self, indices: Tensor) -> BoxOfFiles:
        return replace(self, chosen=indices)

    def bind(self, x: Tensor) -> BoxRegion:
        """The boxes of the chosen samples x, their ends as stored: the box itself allows for their rounding."""
        chosen = None if self.chosen is None else self.chosen.cpu().numpy()
        ends = (
            end[chosen] if several and chosen is not None else end
            for end, several in zip(self.ends, self.per_sample, strict=True)
        )
        lower, upper = (torch.from_numpy(numpy.ascontiguousarray(end)).to(x.device) for end in ends)
        return Box(lower, upper).bind(x)

    def describe(self) -> str:
        kind = "one box a sample" if any(self.per_sample) else "one box for all samples"
        return f"{kind}, from {self.files}; the box is taken as it is, not clipped"

    def settings(self) -> dict[str, Any]:
        return {"set": "BoxOfFiles", "box": list(self.box), "sha256": self.sha256}


def _read_array(path: Path) -> numpy.ndarray:
    try:
        array = load_array(path)
    except FileNotFoundError:
        raise DataError(f"There is no file '{path}'.") from None
    except (OSError, ValueError):
        raise DataError(f"'{path}' is damaged or no .npy file.") from None
    if array.dtype.kind not in "fui" or array.dtype.itemsize > 8:
        raise DataError(f"'{path}' must hold one array of numbers.")
    if not numpy.isfinite(array).all():
        raise DataError(f"'{path}' holds NaN or infinity.")
    return array if array.dtype.kind == "f" else array.astype(numpy.float64)
