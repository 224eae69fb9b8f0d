"""The perturbation set that the options describe."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import torch

from autodual.errors import DataError, InvalidInputError
from autodual.limits.array_headers import load_array
from autodual.perturbations import Box, PerturbationSet, choose_set
from autodual_cli.options.option_groups import BallOptions
from autodual_cli.options.set_command import SET_OPTIONS, plain_options


def ball_maker(options: BallOptions) -> Callable[[float | torch.Tensor], PerturbationSet]:
    """From a radius to the ball of the chosen norm and domain, all in raw input units.

    Raises:
        InvalidInputError: the domain is empty.
    """
    domain = None
    if options.domain is not None:
        lower, upper = options.domain
        if lower > upper:
            raise InvalidInputError(f"--domain {lower:g},{upper:g} is empty: its lower end lies above its upper end.")
        domain = (lower, upper)
    chosen = choose_set(options.norm, options.set_options)
    return lambda radius: chosen.make(radius, domain)


def ball_settings(options: BallOptions, radius: float, ball: PerturbationSet) -> dict[str, Any]:
    """The ball as documents have it, from which it can be made again."""
    return {"set": ball.describe(), "eps": radius, **shape_settings(options)}


def shape_settings(options: BallOptions) -> dict[str, Any]:
    """The shape of a set as documents have it; parameters of its own are named only where it has some."""
    domain = None if options.domain is None else list(options.domain)
    own = plain_options(options.set_options)
    return {"norm": options.norm, "domain": domain, **({SET_OPTIONS: own} if own else {})}


class Boxes:
    """The boxes of `--box lower.npy,upper.npy`: one for all samples, or one per sample of the data set."""

    def __init__(self, option: str, shape: tuple[int, ...], samples: int) -> None:
        parts = option.split(",")
        if len(parts) != 2:
            raise InvalidInputError(f"--box {option} must name two files: LOWER.npy,UPPER.npy.")
        self.paths = [Path(part.strip()) for part in parts]
        self.lower, self.upper = (_read_array(path) for path in self.paths)
        for name, bound in zip(parts, (self.lower, self.upper), strict=True):
            if bound.shape not in (shape, (samples, *shape)):
                raise DataError(
                    f"'{name}' has shape {bound.shape}; expected {shape}, or {(samples, *shape)} for a box per sample."
                )
        self.files = option
        self.per_sample = (self.lower.ndim > len(shape), self.upper.ndim > len(shape))
        content = self.lower.tobytes() + self.upper.tobytes()
        self.sha256 = hashlib.sha256(content).hexdigest()

    def describe(self) -> str:
        """The boxes in words."""
        kind = "one box a sample" if any(self.per_sample) else "one box for all samples"
        return f"{kind}, from {self.files}; the box is taken as it is, not clipped"

    def at(self, indices: torch.Tensor, device: torch.device) -> Box:
        """The boxes of the samples `indices` `[B]`, their ends as stored: the set itself allows for their rounding."""

        def end(bound: numpy.ndarray, per_sample: bool) -> torch.Tensor:
            chosen = bound[indices.numpy()] if per_sample else bound
            return torch.from_numpy(numpy.ascontiguousarray(chosen)).to(device)

        return Box(end(self.lower, self.per_sample[0]), end(self.upper, self.per_sample[1]))


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
