"""The table of perturbation sets and samples on which the tests of this folder run."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from autodual.perturbations import Box, L1Ball, L2Ball, LinfBall, LpBall, PerturbationSet, WassersteinBall


@dataclass(frozen=True, eq=False)
class Problem:
    """A set, the samples `[3, 1, 2, 3]` it is bound to, and whether its extremes and ascent are exact.

    rounding: what the set may count for the rounding of float32 at most; more where points near a member are members.
    """

    set: PerturbationSet
    x: Tensor
    exact: bool
    rounding: float = 1e-5


def _problems() -> dict[str, Problem]:
    x = torch.rand(3, 1, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    outside = x.clone()
    outside[:, 0, 0, 0] = -0.1
    outside[:, 0, 1, 1] = 1.2
    radii = torch.tensor([0.4, 0.0, 0.3], dtype=torch.float64)
    per_feature = torch.linspace(0, 0.5, 6, dtype=torch.float64).reshape(1, 2, 3)
    channels = (torch.tensor([[[-0.1]]]), torch.tensor([[[1.1]]]))
    problems: dict[str, Problem] = {
        "linf": Problem(LinfBall(0.3), x, True),
        "linf-radii": Problem(LinfBall(radii), x, True),
        "linf-per-feature": Problem(LinfBall(per_feature), x, True),
        "linf-clipped": Problem(LinfBall(0.3, (0, 1)), x, True),
        "linf-clipped-outside": Problem(LinfBall(0.3, channels), outside, True),
        "lp-inf": Problem(LpBall(math.inf, 0.3), x, True),
        "box": Problem(Box(-1, x[0] + 0.5), x, True),
        "box-per-sample": Problem(Box(x - 0.1, x + 0.2, (0, math.inf)), x + 1, True),
        "wasserstein": Problem(WassersteinBall(radii, window=3), x * (x > 0.3), True, rounding=1e-4),
    }
    for order, make in {1: L1Ball, 2: L2Ball, 1.5: LpBall, 4: LpBall}.items():
        head = (order,) if make is LpBall else ()
        problems[f"l{order}"] = Problem(make(*head, 0.4), x, True)
        problems[f"l{order}-radii"] = Problem(make(*head, radii), x, True)
        problems[f"l{order}-clipped"] = Problem(make(*head, 0.4, (0, 1)), x, False)
        problems[f"l{order}-clipped-outside"] = Problem(make(*head, 0.7, channels), outside, False)
    return problems


PROBLEMS = _problems()


@pytest.fixture(params=PROBLEMS.values(), ids=PROBLEMS.keys())
def problem(request: pytest.FixtureRequest) -> Problem:
    return request.param


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)
