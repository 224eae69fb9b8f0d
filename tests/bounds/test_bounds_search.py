"""Optimised slopes: nearly as tight as the linear program, never looser than their start, whatever the batch."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from support.programs import NetworkProgram
from torch import Tensor, nn

import autodual
from autodual import Status
from autodual.perturbations import LinfBall
from autodual.specs import ClassMargin


def _network(seed: int, *widths: int, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1]).double()


def _points(count: int, size: int, seed: int = 0) -> Tensor:
    return torch.randn(count, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _optimum(dual: autodual.DualNetwork, x: Tensor, ball: LinfBall, row: Tensor) -> float:
    """The linear program's optimum over the triangle relaxations: no slopes exceed it, and the best reach it."""
    program, region = NetworkProgram(dual, x), ball.at(x).enclosure()
    program.within_box(region.lower[0], region.upper[0])
    bounds = dual.bounds(x, ball, slopes="adaptive")
    program.triangles({name: torch.cat([z.lower, z.upper]).detach().numpy() for name, z in bounds.items()})
    return program.minimum(program.output, row.numpy()).value


@pytest.mark.parametrize("seed", range(6))
def test_the_search_comes_close_to_the_linear_program(seed: int) -> None:
    """The best slopes prove the linear program's optimum (strong duality); adaptive ones stay far behind it here."""
    dual, ball = autodual.compile_dual(_network(seed, 4, 24, 24, 3)), LinfBall(0.3)
    x, row = _points(1, 4, seed), _points(1, 3, seed + 50)
    first, best = (
        dual.lower_bounds(x, ball, row, slopes=slopes, inner_steps=0).item() for slopes in ("adaptive", "optimized")
    )
    optimum = _optimum(dual, x, ball, row[0])
    assert first <= best <= optimum + 1e-6 * (1 + abs(optimum))
    assert optimum - best <= 0.1 * (optimum - first), (first, best, optimum)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.GELU, nn.Softplus])
def test_no_bound_is_looser_than_with_the_slopes_the_search_starts_from(activation: type[nn.Module]) -> None:
    dual = autodual.compile_dual(_network(1, 5, 20, 20, 3, activation=activation))
    x, ball, identity = _points(7, 5), LinfBall(0.2), torch.eye(3, dtype=torch.float64)
    first, best = (dual.lower_bounds(x, ball, identity, slopes=slopes) for slopes in ("adaptive", "optimized"))
    assert bool((best >= first).all()) and bool((best > first + 1e-6).any())


def test_a_sample_does_not_depend_on_the_others() -> None:
    dual = autodual.compile_dual(_network(2, 5, 20, 20, 3))
    x, ball, identity = _points(6, 5), LinfBall(0.2), torch.eye(3, dtype=torch.float64)
    whole = dual.lower_bounds(x, ball, identity, slopes="optimized")
    for sample in range(len(x)):
        alone = dual.lower_bounds(x[sample : sample + 1], ball, identity[1:], slopes="optimized")
        torch.testing.assert_close(alone[0], whole[sample, 1:], atol=1e-6, rtol=1e-6)


def test_the_linear_function_proves_the_searched_bound() -> None:
    dual = autodual.compile_dual(_network(3, 5, 20, 20, 3))
    x, ball, identity = _points(4, 5), LinfBall(0.2), torch.eye(3, dtype=torch.float64)
    lower, slope, offset = dual.lower_bounds(x, ball, identity, slopes="optimized", return_linear=True)
    points = ball.at(x).sample(200, torch.Generator().manual_seed(0))
    below = torch.einsum("nsi,pni->pns", slope, points) + offset
    outputs = dual.outputs(points.flatten(0, 1)).reshape(200, 4, 3)
    assert bool((below <= outputs + 1e-10).all())
    least = (slope * x.unsqueeze(1)).sum(2) - 0.2 * slope.abs().sum(2) + offset
    torch.testing.assert_close(least, lower)
    assert bool((lower >= dual.lower_bounds(x, ball, identity, slopes="adaptive", return_linear=True)[0] - 1e-10).all())


def test_gradients_reach_the_weights() -> None:
    """With the slopes held fixed, which at a maximum over slopes gives the gradient of the searched bound."""
    model = _network(4, 5, 12, 3)
    dual = autodual.compile_dual(model)
    x, ball, row = _points(1, 5), LinfBall(0.2), _points(1, 3, 9)
    weight = model[0].weight
    dual.lower_bounds(x, ball, row, slopes="optimized").sum().backward()
    assert weight.grad is not None and bool(weight.grad.isfinite().all()) and bool((weight.grad != 0).any())
    found, along, step = weight.grad.clone(), torch.sign(weight.grad), 1e-5
    ends = []
    with torch.no_grad():
        for sign in (1, -1):
            weight.add_(sign * step * along)
            ends.append(dual.lower_bounds(x, ball, row, slopes="optimized").item())
            weight.sub_(sign * step * along)
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx((found * along).sum().item(), rel=0.02)


def test_certificates_search_only_for_samples_that_are_open() -> None:
    """More samples are certified than by adaptive slopes, sampled points refute none, and earlier certificates stay."""
    dual = autodual.compile_dual(_network(5, 4, 24, 24, 3))
    x, ball = _points(60, 4), LinfBall(0.14)
    labels = dual.outputs(x).argmax(1)
    labels[:5] = (labels[:5] + 1) % 3
    first, best = (autodual.certify(dual, x, ball, labels, slopes=slopes) for slopes in ("adaptive", "optimized"))
    assert sum(one.certified for one in first) < sum(one.certified for one in best)
    assert all(one.status is Status.MISCLASSIFIED for one in best[:5])
    points = torch.cat([ball.at(x).corners(300, torch.Generator().manual_seed(1)), ball.at(x).sample(300)])
    winners = dual.outputs(points.flatten(0, 1)).argmax(1).reshape(600, 60)
    for before, after, label, seen in zip(first, best, labels, winners.T):
        assert after.certified or not before.certified
        assert not after.certified or bool((seen == label).all())
        if before.certified:
            assert after.margins == before.margins
        assert "optimized slopes" in after.method


def test_single_precision_certifies_no_more_than_double() -> None:
    model = _network(6, 4, 24, 24, 3)
    x = _points(40, 4)
    double = autodual.compile_dual(model)
    labels = double.outputs(x).argmax(1)
    sure = autodual.certify(double, x.float().double(), LinfBall(0.25), labels, slopes="optimized")
    single = autodual.certify(double, x.float(), LinfBall(0.25), labels, slopes="optimized")
    for one, other in zip(single, sure):
        assert one.margin <= other.margin + 0.05 and one.rounding_error > 0
    assert sum(one.certified for one in single) >= sum(one.certified for one in sure) - 1


def test_nan_parameters_certify_nothing() -> None:
    model = _network(7, 4, 12, 3)
    x = _points(3, 4)
    dual = autodual.compile_dual(model, x)
    with torch.no_grad():
        model[0].bias[0] = torch.nan
    found = autodual.certify(dual, x, LinfBall(0.1), torch.zeros(3).long(), slopes="optimized")
    assert not any(one.certified for one in found)


def test_a_network_without_slopes_to_choose_keeps_its_bounds() -> None:
    """It has no relaxation at all, or no undecided unit."""
    x, identity = _points(2, 4), torch.eye(3, dtype=torch.float64)
    for model, radius in ((nn.Linear(4, 3).double(), 0.5), (_network(8, 4, 12, 3), 0.0)):
        dual = autodual.compile_dual(model)
        found = dual.lower_bounds(x, LinfBall(radius), identity, slopes="optimized")
        assert torch.equal(found, dual.lower_bounds(x, LinfBall(radius), identity, slopes="adaptive"))


def test_each_row_of_a_specification_is_searched_for_itself() -> None:
    """The least of a class margin's rows decides whether it is certified."""
    dual = autodual.compile_dual(_network(9, 4, 24, 24, 3))
    x, ball = _points(10, 4), LinfBall(0.1)
    labels = dual.outputs(x).argmax(1)
    lower = dual.margins(x, labels, ball, slopes="optimized")
    found = autodual.certify(dual, x, ball, spec=ClassMargin(labels), slopes="optimized")
    least = lower.masked_fill(nn.functional.one_hot(labels, 3).bool(), torch.inf).min(1).values
    for one, bound in zip(found, least):
        assert one.certified == (bound.item() > 0)
