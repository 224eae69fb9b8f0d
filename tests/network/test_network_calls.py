"""Calls of a dual network: shapes of objectives and results, linear functions, and helpful errors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.effort import effort
from support.random_networks import RandomNetwork, networks
from support.random_sets import Subject, subjects
from torch import Tensor, nn

import autodual
from autodual.errors import InvalidInputError

X = torch.tensor([[0.1, -0.4], [0.7, 0.2], [-0.3, 0.9]], dtype=torch.float64)
BALL = autodual.LinfBall(0.2)


@pytest.fixture
def dual() -> autodual.DualNetwork:
    torch.manual_seed(0)
    return autodual.compile_dual(nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 4)).double())


def _normal(*size: int) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_objectives_for_all_samples_or_for_each(dual: autodual.DualNetwork) -> None:
    """`[N, S, K]` bounds each sample by its own rows, as `[S, K]` with these rows would; `[1, S, K]` is `[S, K]`."""
    objective = _normal(3, 6, 4)
    found = dual.lower_bounds(X, BALL, objective)
    assert found.shape == (3, 6)
    for sample in range(3):
        alone = dual.lower_bounds(X, BALL, objective[sample])
        assert alone.shape == (3, 6)
        torch.testing.assert_close(found[sample], alone[sample], atol=1e-12, rtol=0)
        assert torch.equal(alone, dual.lower_bounds(X, BALL, objective[sample : sample + 1]))
    torch.testing.assert_close(dual.upper_bounds(X, BALL, objective), -dual.lower_bounds(X, BALL, -objective))


def test_margins_bound_the_score_of_the_label_minus_each_other_score(dual: autodual.DualNetwork) -> None:
    labels = torch.tensor([3, 0, 2])
    margins, identity = dual.margins(X, labels, BALL), torch.eye(4, dtype=X.dtype)
    assert margins.shape == (3, 4) and margins.gather(1, labels.unsqueeze(1)).tolist() == [[0], [0], [0]]
    expected = dual.lower_bounds(X, BALL, identity[labels].unsqueeze(1) - identity)
    torch.testing.assert_close(margins, expected.scatter(1, labels.unsqueeze(1), 0.0), atol=1e-12, rtol=0)


def test_bounds_of_every_site(dual: autodual.DualNetwork) -> None:
    found = dual.bounds(X, BALL)
    assert tuple(found) == dual.plan.sites and [interval.shape for interval in found.values()] == [(3, 5)]


@pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])
@effort(40)
@given(st.data(), networks(), st.integers(0, 2**16))
def test_linear_functions_lie_below_and_meet_the_bound(
    slopes: str, data: st.DataObject, model: RandomNetwork, seed: int
) -> None:
    """They lie below the network at every point of the set; their minimum over the set is the bound itself."""
    subject: Subject = data.draw(subjects(model.shape))
    dual, x = model.dual(), subject.x
    objective = torch.randn(2, 3, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
    with torch.no_grad():
        lower, coefficients, offset = dual.lower_bounds(x, subject.ball, objective, slopes=slopes, return_linear=True)
        assert coefficients.shape == (len(x), 2, *model.shape) and offset.shape == (len(x), 2)
        region, generator = subject.ball.at(x), torch.Generator().manual_seed(seed)
        points = torch.cat([region.sample(16, generator), region.corners(16, generator)])
        values = dual.outputs(points.flatten(0, 1)).reshape(32, len(x), 3) @ objective.T
        linear = torch.einsum("pnf,nsf->pns", points.flatten(2), coefficients.flatten(2)) + offset
        scale = 1 + float(values.abs().max()) + float(lower.abs().max())
        assert bool((linear <= values + 1e-10 * scale).all())
        assert bool((linear >= lower - 1e-10 * scale).all())
        for row in range(2):
            worst = region.steepest(-coefficients[:, row])
            least = (coefficients[:, row] * worst).flatten(1).sum(1) + offset[:, row]
            if type(region).__name__ != "ClippedRegion":  # its support function is only bounded, not exact
                torch.testing.assert_close(least, lower[:, row], atol=1e-9 * scale, rtol=0)


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        (torch.ones(4), r"expected \[S, 4\] or \[3, S, 4\]"),
        (torch.ones(2, 3), r"expected \[S, 4\] or \[3, S, 4\]"),
        (torch.ones(2, 1, 4), r"expected \[S, 4\] or \[3, S, 4\]"),
        (torch.ones(0, 4), "no rows"),
        (torch.full((1, 4), torch.nan), "NaN or infinity"),
    ],
)
def test_objectives_that_do_not_fit(dual: autodual.DualNetwork, objective: Tensor, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        dual.lower_bounds(X, BALL, objective)


def test_other_errors_say_what_is_wrong(dual: autodual.DualNetwork) -> None:
    with pytest.raises(InvalidInputError, match="nothing is traced yet"):
        _ = dual.plan
    with pytest.raises(InvalidInputError, match="slopes must be 'shared', 'adaptive' or 'optimized'"):
        dual.bounds(X, BALL, slopes="optimal")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="label of sample 1 is 4"):
        dual.margins(X, torch.tensor([0, 4, 1]), BALL)
    with pytest.raises(InvalidInputError, match="2 labels for 3 samples"):
        dual.margins(X, torch.tensor([0, 1]), BALL)
    with pytest.raises(InvalidInputError, match="must hold floating-point"):
        dual.bounds(torch.ones(1, 2, dtype=torch.long), BALL)


@pytest.mark.parametrize("inner", ["dual", "interval"])
def test_linear_functions_of_bounds_with_interval_arithmetic(inner):
    """They lie below the network, and their minimum over the set is the bound."""
    torch.manual_seed(0)
    ball, x = autodual.LinfBall(0.2), torch.rand(4, 3, dtype=torch.float64)
    bent = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)).double()
    for model in (bent, bent[:1], bent[:2]):
        dual, outputs = autodual.compile_dual(model), model(x).shape[1]
        lower, slope, offset = dual.lower_bounds(
            x, ball, torch.eye(outputs), slopes="adaptive", inner=inner, last="interval", return_linear=True
        )
        points = ball.at(x).sample(200)
        values = model(points.flatten(0, 1)).reshape(200, 4, outputs)
        assert bool((values >= torch.einsum("nkd,snd->snk", slope, points) + offset - 1e-12).all())
        least = (slope * x.unsqueeze(1)).sum(2) + offset - 0.2 * slope.abs().sum(2)
        torch.testing.assert_close(least, lower, atol=1e-12, rtol=0)
