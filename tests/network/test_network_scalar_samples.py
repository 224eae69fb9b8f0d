"""Nodes without extents: samples that are one number each, single outputs `[N]`, and sites between them."""

from __future__ import annotations

import numpy
import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.attacks import Fgsm, Pgd, Square, evaluate
from autodual.passes import HighProbability, RandomProjection, default_pipeline
from autodual.perturbations import PerturbationSet
from autodual.properties import Case, Conjunction, Property, Variable
from autodual.specs import HalfSpaces

_X = torch.tensor([-1.0, -0.2, 0.3, 0.9], dtype=torch.float64)
_BALLS: list[PerturbationSet] = [
    autodual.LinfBall(0.3),
    autodual.L2Ball(0.3),
    autodual.L1Ball(0.3),
    autodual.Union(autodual.LinfBall(0.3), autodual.L2Ball(0.2)),
    autodual.LinfBall(0.3, domain=(-1.0, 1.0)),
]


class Bend(nn.Module):
    """|x| - relu(x - 1/4) + relu(relu(x) - 1/2), of numbers without extents."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs() - (x - 0.25).relu() + (x.relu() - 0.5).relu()


@pytest.fixture(scope="module")
def dual() -> autodual.DualNetwork:
    return autodual.compile_dual(Bend(), _X)


def _least(x: float, radius: float = 0.3) -> float:
    """The true minimum over [x - radius, x + radius]."""
    return float(Bend()(torch.linspace(x - radius, x + radius, 6001, dtype=torch.float64)).min())


_LEAST = torch.tensor([_least(float(x)) for x in _X], dtype=torch.float64)
_ROW = torch.ones(1, 1, dtype=torch.float64)


@pytest.mark.parametrize("ball", _BALLS[:3])
@pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])
def test_bounds_lie_below_the_true_minimum(dual: autodual.DualNetwork, ball: PerturbationSet, slopes: str) -> None:
    found = dual(_X, ball, _ROW, slopes=slopes, rigorous=True, linear=True).objective
    assert found.lower.shape == (4, 1)
    assert (found.lower[:, 0] <= _LEAST).all()
    assert (found.lower[:, 0] > _LEAST - 0.7).all()


@pytest.mark.parametrize("passes", [RandomProjection(64), HighProbability(1e-3)])
def test_projected_bounds(passes: object) -> None:
    projected = autodual.compile_dual(Bend(), _X, passes=[*default_pipeline(), passes])
    assert (projected.lower_bounds(_X, autodual.LinfBall(0.1), _ROW).isfinite()).all()


def test_exact_bounds_are_the_true_minimum(dual: autodual.DualNetwork) -> None:
    found = autodual.exact_bounds(dual, _X, autodual.LinfBall(0.3), _ROW)
    assert torch.allclose(found.lower[:, 0], _LEAST, atol=1e-4)
    assert (autodual.lp_bounds(dual, _X, autodual.LinfBall(0.3), _ROW) <= found.lower + 1e-9).all()


@pytest.mark.parametrize("ball", _BALLS)
def test_certificates_radii_and_attacks_agree_with_the_truth(dual: autodual.DualNetwork, ball: PerturbationSet) -> None:
    spec = HalfSpaces([[1.0]], [0.2])
    found = autodual.certify(dual, _X, ball, spec=spec, attack=Pgd(steps=10))
    attacked = evaluate(Bend(), _X, ball, spec=spec, attacks=[Pgd(steps=10), Fgsm(), Square(queries=50)])
    for certificate, sample, least in zip(found, attacked, _LEAST.tolist()):
        assert not (certificate.certified and sample.broken)
        assert not certificate.certified or least > 0.2


def test_a_radius(dual: autodual.DualNetwork) -> None:
    radius = autodual.certified_radius(dual, _X, autodual.LinfBall, spec=HalfSpaces([[1.0]], [0.1]), max_radius=1.0)
    for x, found in zip(_X.tolist(), radius):
        assert _least(x, float(found)) >= 0.1 or float(found) == 0


@pytest.mark.parametrize(("bound", "status"), [(-0.01, "unsat"), (0.0001, "sat")])
@pytest.mark.parametrize("options", [{}, {"attack": None}, {"attack": None, "exact_seconds": 5.0}])
def test_verdicts(dual: autodual.DualNetwork, bound: float, status: str, options: dict) -> None:
    row = Conjunction(numpy.ones((1, 1)), numpy.array([bound]), numpy.array([False]))
    case = Case(numpy.array([-0.5]), numpy.array([0.75]), (row,))
    goal = Property((Variable("X", ()),), (Variable("Y", ()),), (case,), "1.0", None, 0, "")
    assert autodual.verify(dual, goal, timeout=20, **options).status.value == status


def test_training_on_single_numbers() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.tensor([1.0, -1.0]))

        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([(self.weight[0] * x).relu(), (self.weight[1] * x).relu()], 1)

    model = Two()
    loss = autodual.robust_loss(autodual.compile_dual(model, _X.float()), _X.float(), torch.tensor([1, 1, 0, 0]),
                                autodual.LinfBall(0.1)).mean()  # fmt: skip
    loss.backward()
    assert model.weight.grad is not None and model.weight.grad.isfinite().all()
