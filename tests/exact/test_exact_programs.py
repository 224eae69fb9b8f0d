"""Exact bounds against enumeration, independent programs and dense samples; LP bounds against those of (3.6)."""

from __future__ import annotations

import itertools

import numpy
import pytest
import torch
from scipy.optimize import linprog
from support.programs import NetworkProgram
from torch import nn

import autodual
from autodual.errors import InvalidInputError

OBJECTIVE = torch.tensor([[1.0, -1.0], [-1.0, 0.5]], dtype=torch.float64)


def network(*inner: nn.Module, seed: int = 0, inputs: int = 2) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(inputs, 6), *inner, nn.Linear(6, 2)).double()


def enumerated(model: nn.Sequential, lower: numpy.ndarray, upper: numpy.ndarray, objective: numpy.ndarray) -> float:
    """The least value of a network of two linear layers and a ReLU between them: one program for each pattern."""
    first, second = ((layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in (model[0], model[2]))
    best = numpy.inf
    for pattern in itertools.product((0.0, 1.0), repeat=len(first[1])):
        active = numpy.array(pattern)
        sign = numpy.where(active > 0, -1.0, 1.0)
        matrix = second[0] * active
        cost, constant = objective @ matrix @ first[0], objective @ (matrix @ first[1] + second[1])
        found = linprog(cost, sign[:, None] * first[0], -sign * first[1], bounds=list(zip(lower, upper)))
        best = min(best, found.fun + constant) if found.success else best
    return best


@pytest.mark.parametrize("seed", range(2))
def test_minima_are_those_of_all_activation_patterns(seed: int) -> None:
    model, x = network(nn.ReLU(), seed=seed), torch.rand(1, 2).double()
    dual, ball = autodual.compile_dual(model, x), autodual.LinfBall(0.7)
    found = autodual.exact_bounds(dual, x, ball, OBJECTIVE)
    low, high = (x - 0.7)[0].numpy(), (x + 0.7)[0].numpy()
    for place, row in enumerate(OBJECTIVE.numpy()):
        expected = enumerated(model, low, high, row)
        assert found.upper[0, place] == pytest.approx(expected, abs=1e-7)
        assert expected - 2e-6 <= found.lower[0, place] <= expected + 1e-9
        reached = model(found.points[:, place]).detach() @ OBJECTIVE[place]
        assert float(reached) == pytest.approx(float(found.upper[0, place]), abs=1e-12)


SIZES = ((3, 7), (7, 6), (6, 5), (5, 2))
DEEP = nn.Sequential(*[layer for size in SIZES for layer in (nn.Linear(*size), nn.ReLU())][:-1])


@pytest.mark.parametrize("ball", [autodual.LinfBall(0.6), autodual.LinfBall(0.6, domain=(0, 1)), autodual.L1Ball(0.9)])
def test_bounds_are_in_order_and_equal_those_of_independent_programs(ball: autodual.PerturbationSet) -> None:
    torch.manual_seed(1)
    for parameter in DEEP.parameters():
        nn.init.normal_(parameter, std=0.7)
    model, x = DEEP.double(), torch.rand(1, 3).double()
    dual = autodual.compile_dual(model, x)
    bounds = dual.lower_bounds(x, ball, OBJECTIVE, slopes="adaptive").detach()
    program, exact = autodual.lp_bounds(dual, x, ball, OBJECTIVE), autodual.exact_bounds(dual, x, ball, OBJECTIVE)
    assert (bounds <= program + 1e-9).all() and (program <= exact.lower + 1e-6).all()
    assert (exact.lower <= exact.upper).all() and (exact.upper - exact.lower <= 2e-6).all()
    region = ball.at(x)
    assert region.contains(exact.points[0], tolerance=1e-12).all()
    points = torch.cat([region.sample(3000), region.corners(500)])[:, 0]
    assert (exact.lower <= (model(points) @ OBJECTIVE.T).amin(0)).all()

    intervals = {
        name: numpy.stack([each.lower[0].detach().numpy(), each.upper[0].detach().numpy()])
        for name, each in dual.bounds(x, ball, slopes="adaptive").items()
    }
    for rows in ("triangles", "exactly"):
        other = NetworkProgram(dual, x)
        if isinstance(ball, autodual.L1Ball):
            other.within_box(x[0] - 0.9, x[0] + 0.9)
            other.within_l1(x[0], 0.9)
        else:
            box = region.enclosure()
            other.within_box(box.lower[0], box.upper[0])
        other.triangles(intervals) if rows == "triangles" else other.exactly()
        expected = [other.minimum(other.output, row).value for row in OBJECTIVE.numpy()]
        ours = program if rows == "triangles" else exact.lower
        assert ours[0].tolist() == pytest.approx(expected, abs=3e-6)


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 2, 2), nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(nn.functional.max_pool2d(self.first(x.reshape(-1, 1, 3, 3)), 2).flatten(1))


KINDS = {
    "relu": nn.ReLU(),
    "leaky": nn.LeakyReLU(0.2),
    "steep": nn.PReLU(6, init=1.7),
    "folded": nn.PReLU(6, init=-0.5),
    "clamp": nn.Hardtanh(-0.3, 0.4),
    "relu6": nn.ReLU6(),
    "shrink": nn.Softshrink(0.25),
    "sigmoid": nn.Hardsigmoid(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_piecewise_linear_op_is_exact(kind: str) -> None:
    model = network(KINDS[kind], nn.Linear(6, 6), KINDS[kind], seed=3).double()
    x = torch.tensor([[0.3, -0.2]]).double()
    dual = autodual.compile_dual(model, x)
    for radius in (0.2, 3.0):
        found = autodual.exact_bounds(dual, x, autodual.LinfBall(radius), OBJECTIVE)
        steps = torch.linspace(-radius, radius, 121, dtype=torch.float64)
        values = (model(x + torch.cartesian_prod(steps, steps)) @ OBJECTIVE.T).amin(0).detach()
        assert (found.lower[0] <= values).all()
        # The upper bound is attained, and a grid this fine comes near the minimum.
        assert (found.upper - found.lower <= 2e-6).all()
        assert (values - found.upper[0] <= 0.02 * radius).all()


def test_maxima_are_exact() -> None:
    torch.manual_seed(0)
    model, x = Pooled().double(), torch.rand(1, 9).double()
    dual, ball = autodual.compile_dual(model, x), autodual.LinfBall(0.5)
    found = autodual.exact_bounds(dual, x, ball, OBJECTIVE)
    points = ball.at(x).corners(4000)[:, 0]
    reached = (model(points) @ OBJECTIVE.T).amin(0).detach()
    assert (found.lower[0] <= reached).all() and (found.upper - found.lower <= 2e-6).all()
    assert (autodual.lp_bounds(dual, x, ball, OBJECTIVE) <= found.lower + 1e-6).all()


def test_residual_branches_and_normalisation_are_encoded() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.last = nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)
            self.norm.running_mean.normal_()
            self.norm.running_var.uniform_(0.5, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x + self.last(self.norm(self.first(x)).relu())).abs()[:, :2]

    torch.manual_seed(2)
    model, x = Residual().double().eval(), torch.rand(1, 3).double()
    dual, ball = autodual.compile_dual(model, x), autodual.LinfBall(1.0)
    found = autodual.exact_bounds(dual, x, ball, OBJECTIVE)
    region = ball.at(x)
    points = torch.cat([region.sample(4000), region.corners(100)])[:, 0]
    assert (found.lower[0] <= (model(points) @ OBJECTIVE.T).amin(0)).all()
    assert (found.upper - found.lower <= 2e-6).all()


def test_unions_have_the_least_value_of_their_members() -> None:
    model, x = network(nn.ReLU()), torch.rand(1, 2).double()
    dual, members = autodual.compile_dual(model, x), (autodual.LinfBall(0.3), autodual.L1Ball(0.8))
    apart = [autodual.exact_bounds(dual, x, member, OBJECTIVE).upper for member in members]
    union = autodual.exact_bounds(dual, x, autodual.Union(*members), OBJECTIVE)
    assert torch.allclose(union.upper, torch.minimum(*apart), atol=1e-6)


def test_ops_and_sets_without_exact_form_are_refused() -> None:
    x = torch.rand(1, 2).double()
    curved = autodual.compile_dual(network(nn.Tanh()), x)
    with pytest.raises(InvalidInputError, match="no exact encoding: tanh"):
        autodual.exact_bounds(curved, x, autodual.LinfBall(0.1), OBJECTIVE)
    straight = autodual.compile_dual(network(nn.ReLU()), x)
    with pytest.raises(InvalidInputError, match="flat sides"):
        autodual.lp_bounds(straight, x, autodual.L2Ball(0.1), OBJECTIVE)
