"""Random samples with random perturbation sets, among them single points and boxes that are flat along some axes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from autodual.perturbations import Box, L1Ball, L2Ball, LinfBall, LpBall, PerturbationSet


@dataclass(frozen=True)
class Subject:
    """Samples `[N, *shape]` in float64 and the set around them."""

    x: Tensor
    ball: PerturbationSet

    def __repr__(self) -> str:
        return f"{len(self.x)} samples in a {self.ball.describe()}"


def _sets(x: Tensor, radius: float, generator: torch.Generator) -> dict[str, PerturbationSet]:
    radii = radius * torch.rand(len(x), generator=generator, dtype=x.dtype)
    radii[0] = 0
    width = radius * torch.rand(x.shape, generator=generator, dtype=x.dtype)
    width[torch.rand(x.shape, generator=generator) < 0.4] = 0
    unit = (-0.2, 1.1)
    return {
        "linf": LinfBall(radius),
        "linf per sample": LinfBall(radii),
        "linf clipped": LinfBall(radius, unit),
        "l2": L2Ball(radius),
        "l2 per sample": L2Ball(radii),
        "l2 clipped": L2Ball(radius, unit),
        "l1": L1Ball(radius),
        "l1 clipped": L1Ball(radius, unit),
        "l1.5": LpBall(1.5, radius),
        "l4 clipped": LpBall(4, radius, unit),
        "flat box": Box(x - width, x + width / 2),
        "box beside the samples": Box(x + width, x + 2 * width, unit if float(width.max()) < 0.05 else None),
    }


@st.composite
def subjects(draw: Callable[[st.SearchStrategy[Any]], Any], shape: tuple[int, ...], most_samples: int = 3) -> Subject:
    """Samples and a set; the radius may be 0 or tiny."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    samples = draw(st.integers(1, most_samples))
    x = torch.rand(samples, *shape, generator=generator, dtype=torch.float64)
    if draw(st.booleans()):
        x = (4 * x).round() / 4
    radius = draw(st.sampled_from([0.0, 1e-10, 0.03, 0.2, 0.7]))
    made = _sets(x, radius, generator)
    return Subject(x, made[draw(st.sampled_from(list(made)))])
