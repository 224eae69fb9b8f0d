"""Losses through one interface: bounds are upper bounds, mixtures mix, and every loss trains every kind of model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

import autodual
from autodual.attacks import Pgd
from autodual.errors import InvalidInputError
from autodual.network import DualNetwork
from autodual.specs import ClassMargin
from autodual.train.losses import (
    Adversarial,
    Batch,
    Clean,
    CrownIbp,
    IntervalBound,
    Loss,
    MtlIbp,
    Regularised,
    Robust,
    SmallBoxes,
    cross_entropy,
    hinge,
)
from autodual.train.losses.criteria import criterion

CRITERIA = {"cross-entropy": cross_entropy, "hinge": hinge}
BOUNDS: list[Loss] = [
    Robust(),
    Robust(slopes="adaptive"),
    IntervalBound(),
    CrownIbp(beta=1.0),
    CrownIbp(beta=0.4),
    CrownIbp(beta=0.0),
]
OTHERS: list[Loss] = [Clean(), Adversarial(steps=3), SmallBoxes(steps=2), MtlIbp(steps=2), Regularised(IntervalBound())]


class Residual(nn.Module):
    """A skip connection, a batch norm and an activation that is not a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())
        self.second = nn.Conv2d(3, 3, 3, padding=1)
        self.last = nn.Linear(48, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.last(torch.tanh(self.second(x) + x).flatten(1))


@pytest.fixture(params=["convolutional", "residual"])
def dual(request) -> DualNetwork:
    torch.manual_seed(3)
    plain = nn.Sequential(
        nn.Conv2d(1, 3, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 4)
    )
    model = plain if request.param == "convolutional" else Residual()
    return autodual.compile_dual(model.double())


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(6, 1, 4, 4, generator=generator, dtype=torch.float64), torch.arange(6) % 4


def worst_seen(dual: DualNetwork, x: Tensor, labels: Tensor, ball: autodual.LinfBall, name: str) -> Tensor:
    """For each sample, the largest loss over corners of the set, random points and points found by an attack."""
    region = ball.at(x)
    generator = torch.Generator().manual_seed(0)
    points = [*region.corners(50, generator), *region.sample(20, generator)]
    points.append(Pgd(10).run(dual.outputs, region, ClassMargin(labels)))
    with torch.no_grad():
        return torch.stack([CRITERIA[name](dual.outputs(point), labels) for point in points]).amax(0)


@pytest.mark.parametrize("loss", BOUNDS, ids=str)
@pytest.mark.parametrize("name", CRITERIA)
def test_bounded_losses_are_above_the_loss_at_every_point(dual, batch, loss, name) -> None:
    x, labels = batch
    dual.eval()
    ball = autodual.LinfBall(0.05)
    chosen = type(loss)(**{**loss.__dict__, "criterion": name})
    bounds = chosen.of(Batch(dual, x, labels, ball))
    assert bool((bounds >= worst_seen(dual, x, labels, ball, name) - 1e-9).all())


@pytest.mark.parametrize("loss", [*BOUNDS, *OTHERS], ids=str)
def test_every_loss_trains_every_model(dual, batch, loss) -> None:
    x, labels = batch
    dual.train()
    value = loss(dual, x, labels, autodual.LinfBall(0.05, (0.0, 1.0)))
    value.backward()
    assert value.dim() == 0 and bool(value.isfinite())
    gradients = [parameter.grad for parameter in dual.model.parameters()]
    assert all(gradient is not None and bool(gradient.isfinite().all()) for gradient in gradients)
    assert any(bool(gradient.abs().max() > 0) for gradient in gradients)
    assert dual.model.training


def test_at_radius_zero_every_bound_is_the_plain_loss(dual, batch) -> None:
    x, labels = batch
    dual.train()
    expected = functional.cross_entropy(dual.model(x), labels)
    for loss in [*BOUNDS, SmallBoxes(steps=1), MtlIbp(steps=1), Adversarial(steps=1)]:
        torch.testing.assert_close(loss(dual, x, labels, autodual.LinfBall(0.0)), expected)


def test_the_interval_loss_is_interval_bound_propagation_by_hand(batch) -> None:
    x, labels = batch
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 3, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 4)]
    model = nn.Sequential(*layers).double()
    centre, radius = x, torch.full_like(x, 0.1)
    for layer in layers[:-1]:
        if isinstance(layer, nn.Conv2d):
            centre, radius = layer(centre), functional.conv2d(radius, layer.weight.abs(), None, 2, 1)
        elif isinstance(layer, nn.Linear):
            centre, radius = layer(centre), functional.linear(radius, layer.weight.abs())
        elif isinstance(layer, nn.ReLU):
            lower, upper = (centre - radius).relu(), (centre + radius).relu()
            centre, radius = (lower + upper) / 2, (upper - lower) / 2
        else:
            centre, radius = layer(centre), layer(radius)
    weight, bias = layers[-1].weight, layers[-1].bias
    rows = weight[labels].unsqueeze(1) - weight
    margins = (rows @ centre.unsqueeze(2) - rows.abs() @ radius.unsqueeze(2))[..., 0] + bias[labels].unsqueeze(1) - bias
    expected = functional.cross_entropy(-margins, labels)
    found = IntervalBound()(autodual.compile_dual(model), x, labels, autodual.LinfBall(0.1))
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(value, list(model.parameters())) for value in (found, expected)]
    for ours, theirs in zip(*gradients):
        torch.testing.assert_close(ours, theirs)


def test_kappa_alpha_and_beta_mix_losses_and_margins(dual, batch) -> None:
    x, labels = batch
    dual.eval()
    ball = autodual.LinfBall(0.05)
    clean, bound = Clean()(dual, x, labels, ball), IntervalBound()(dual, x, labels, ball)
    torch.testing.assert_close(IntervalBound(kappa=0.3)(dual, x, labels, ball), 0.3 * clean + 0.7 * bound)
    attacked = Adversarial(steps=4)(dual, x, labels, ball)
    mixed = MtlIbp(alpha=0.2, steps=4)(dual, x, labels, ball)
    torch.testing.assert_close(mixed, 0.8 * attacked + 0.2 * bound)
    torch.testing.assert_close(MtlIbp(alpha=1.0)(dual, x, labels, ball), bound)
    interval = dual.margins(x, labels, ball, inner="interval", last="interval")
    margins = 0.25 * dual.margins(x, labels, ball, inner="interval") + 0.75 * interval
    found = CrownIbp(beta=0.25)(dual, x, labels, ball)
    torch.testing.assert_close(found, functional.cross_entropy(-margins, labels))


def test_a_small_box_lies_within_the_whole_set(dual, batch) -> None:
    x, labels = batch
    ball = autodual.LinfBall(0.3, (0.0, 1.0))
    whole = ball.at(x)
    problem = Batch(dual, x, labels, ball)
    points = problem.attacked(Pgd(3), ball.scaled(0.6))
    small = ball.scaled(0.4).at(points)
    assert bool(whole.contains(small.sample(30, torch.Generator().manual_seed(0)), 1e-12).all())
    whole_bound = IntervalBound()(dual.eval(), x, labels, ball)
    assert SmallBoxes(fraction=0.4, steps=3)(dual, x, labels, ball) < whole_bound
    torch.testing.assert_close(SmallBoxes(fraction=1.0, steps=1)(dual, x, labels, ball), whole_bound)


def test_batch_norms_learn_once_however_many_parts_a_loss_has(batch) -> None:
    x, labels = batch
    torch.manual_seed(0)
    dual = autodual.compile_dual(Residual().double()).train()
    norm = dual.model.first[1]
    Regularised(IntervalBound(kappa=0.5))(dual, x, labels, autodual.LinfBall(0.05))
    assert int(norm.num_batches_tracked) == 1
    SmallBoxes(steps=3, kappa=0.5)(dual, x, labels, autodual.LinfBall(0.05))
    assert int(norm.num_batches_tracked) == 2
    dual.eval()
    before = norm.running_mean.clone()
    MtlIbp(steps=2)(dual, x, labels, autodual.LinfBall(0.05))
    assert torch.equal(norm.running_mean, before)


def test_regularisers_shrink_intervals_and_vanish_with_their_weight(batch) -> None:
    x, labels = batch
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4)).double()
    dual, ball = autodual.compile_dual(model), autodual.LinfBall(0.1)
    plain = IntervalBound()(dual, x, labels, ball)
    torch.testing.assert_close(Regularised(IntervalBound(), weight=0.0)(dual, x, labels, ball), plain)
    with torch.no_grad():
        model[1].weight *= 20
    plain = IntervalBound()(dual, x, labels, ball)
    # The intervals are so wide that the tightness penalty is near its maximum, 1, times the weight.
    assert float((Regularised(IntervalBound(), weight=0.5)(dual, x, labels, ball) - plain).detach()) > 0.4


def test_the_hinge_loss_by_brute_force() -> None:
    generator = torch.Generator().manual_seed(0)
    scores, labels = torch.randn(20, 5, generator=generator), torch.arange(20) % 5
    expected = []
    for row, label in zip(scores, labels):
        others = [row[j] for j in range(5) if j != label]
        expected.append(max(0.0, float(1 + max(others) - row[label])))
    torch.testing.assert_close(hinge(scores, labels), torch.tensor(expected))


def test_wrong_criteria_and_sets_without_a_radius_are_refused(dual, batch) -> None:
    x, labels = batch
    with pytest.raises(InvalidInputError, match="no criterion"):
        criterion("squared")
    with pytest.raises(InvalidInputError, match="no radius to scale"):
        SmallBoxes()(dual, x, labels, autodual.Box(x - 0.1, x + 0.1))
    with pytest.raises(InvalidInputError, match="at least 0"):
        autodual.LinfBall(0.1).scaled(-0.5)


def test_balls_tighten_dual_losses_over_l2_balls_and_stay_bounds(batch) -> None:
    """Over intervals inside, and over the thesis' bounds; the loss at points of the ball stays below."""
    x, labels = batch
    torch.manual_seed(3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 12), nn.ReLU(), nn.Linear(12, 4)).double()
    dual, ball = autodual.compile_dual(model, x), autodual.L2Ball(0.8)
    found = Pgd(20).run(dual.outputs, ball.at(x), ClassMargin(labels))
    at_points = functional.cross_entropy(dual.outputs(found), labels)
    for plain in (Robust(slopes="adaptive"), CrownIbp(slopes="adaptive")):
        loose, tight = (kind(dual, x, labels, ball) for kind in (plain, replace(plain, balls=True)))
        assert at_points <= tight + 1e-10
        assert tight < loose
