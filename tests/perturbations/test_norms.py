"""Sets as sums of norms, the form that random projections need."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.perturbations import Box, L1Ball, L2Ball, LinfBall, LpBall, PerturbationSet, ProductSet, Region, WholeView
from autodual.perturbations.regions.row_norms import flat_inner

RADII = torch.tensor([0.4, 0.0, 0.3], dtype=torch.float64)


def _samples(*shape: int) -> Tensor:
    return torch.rand(3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def _by_norms(region: Region, nu: Tensor) -> tuple[Tensor, Tensor]:
    """Minimum and maximum of rows `[3, K, *shape]` over the set, from its middle and norms."""
    form, axes = region.centred_norms(), tuple(range(2, nu.dim()))
    value = (nu * form.middle.unsqueeze(1)).sum(axes)
    spread = torch.zeros_like(value)
    for norm in form.norms:
        weighted = (nu * norm.weights.unsqueeze(1)).flatten(2)
        spread = spread + torch.linalg.vector_norm(weighted, norm.order, dim=2)
    return value - spread, value + spread


SETS: dict[str, PerturbationSet] = {
    "linf": LinfBall(0.3),
    "linf by sample": LinfBall(RADII),
    "linf by feature": LinfBall(torch.linspace(0, 0.5, 6, dtype=torch.float64).reshape(1, 2, 3)),
    "linf clipped": LinfBall(0.3, (0, 1)),
    "box": Box(-1, 2.5),
    "lp of infinity": LpBall(float("inf"), 0.2),
    "l2": L2Ball(0.4),
    "l2 by sample": L2Ball(RADII),
}


@pytest.mark.parametrize("name", SETS)
def test_the_norms_are_the_support_function(name: str) -> None:
    x = _samples(2, 3)
    region = SETS[name].at(x)
    nu = torch.randn(3, 5, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for ours, exact in zip(_by_norms(region, nu), region.extremes(nu, WholeView())):
        torch.testing.assert_close(ours, exact)


def test_one_radius_for_all_samples_is_one_weight() -> None:
    """So samples can share the columns of the first layers, up to the first node at which they differ."""
    x = _samples(2, 3)
    for ball in (LinfBall(0.3), L2Ball(0.3)):
        (norm,) = ball.at(x).centred_norms().norms
        assert norm.weights.shape == (1, 2, 3)
    (norm,) = LinfBall(RADII).at(x).centred_norms().norms
    assert norm.weights.shape == (3, 2, 3)


def test_the_norms_of_a_clipped_ball_ignore_its_domain() -> None:
    x = _samples(2, 3)
    nu = torch.randn(3, 5, 2, 3, dtype=torch.float64)
    region = L2Ball(0.4, (0, 1)).at(x)
    lower, upper = _by_norms(region, nu)
    exact = region.extremes(nu, WholeView())
    assert bool((lower <= exact[0] + 1e-12).all()) and bool((upper >= exact[1] - 1e-12).all())


def test_products_join_their_l1_norms_and_keep_their_l2_norms_apart() -> None:
    x = _samples(10)
    ball = ProductSet((LinfBall(0.1), L2Ball(0.2), None, L2Ball(RADII)), ((2,), (3,), (2,), (3,)))
    region = ball.at(x)
    assert [norm.order for norm in region.centred_norms().norms] == [1, 2, 2]
    nu = torch.randn(3, 5, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for ours, exact in zip(_by_norms(region, nu), region.extremes(nu, WholeView())):
        torch.testing.assert_close(ours, exact)


@pytest.mark.parametrize("ball", [L1Ball(0.1), LpBall(3, 0.1), L1Ball(0.1, (0, 1))], ids=str)
def test_sets_without_such_norms_are_refused(ball: PerturbationSet) -> None:
    with pytest.raises(InvalidInputError, match="l1 and l2 norms"):
        ball.at(_samples(4)).centred_norms()


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("groups, count, of_features", [(1, 3, 4), (4, 3, 1), (4, 1, 4), (4, 3, 4), (1, 1, 1)])
def test_inner_products_and_their_gradients_are_those_of_einsum(groups, count, of_features, recorded):
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(groups, count, 6, generator=generator, dtype=torch.float64, requires_grad=recorded)
    features = torch.randn(of_features, 6, generator=generator, dtype=torch.float64, requires_grad=recorded)
    expected = torch.einsum("gkf,gf->gk", *(one.expand(4, *one.shape[1:]) for one in (rows, features)))
    found = flat_inner(rows, features).expand(4, count)
    torch.testing.assert_close(found, expected)
    if recorded:
        mine, theirs = (torch.autograd.grad(one.square().sum(), (rows, features)) for one in (found, expected))
        torch.testing.assert_close(mine, theirs)
