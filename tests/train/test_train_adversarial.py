"""Adversarial training: each loss equals a version written by hand, and runs no needless pass of the network."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

import autodual
from autodual.errors import InvalidInputError
from autodual.network import DualNetwork
from autodual.train.attack_view import seen_network
from autodual.train.losses import (
    Batch,
    FgsmLoss,
    FreeLoss,
    Loss,
    MultiSteepest,
    NFgsmLoss,
    PgdLoss,
    RFgsmLoss,
    TradesLoss,
)

EPS = 0.25
BALL = autodual.LinfBall(EPS, (0.0, 1.0))


@pytest.fixture
def dual() -> DualNetwork:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 3)).double()
    return autodual.compile_dual(model).train()


@pytest.fixture(scope="module")
def samples() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(9, 6, generator=generator, dtype=torch.float64), torch.arange(9) % 3


def uniform(x: Tensor, seed: int) -> Tensor:
    """The numbers from -1 to 1 that an attack draws after `torch.manual_seed(seed)`."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
    return 2 * torch.rand(x.shape, generator=generator, dtype=x.dtype) - 1


def ascended(model: nn.Module, x: Tensor, labels: Tensor, points: Tensor, step: float) -> Tensor:
    """One sign step on cross-entropy, clipped to the ball and the domain; the model stays unchanged."""
    points = points.clone().requires_grad_()
    loss = functional.cross_entropy(copy.deepcopy(model)(points), labels)
    (gradient,) = torch.autograd.grad(loss, points)
    return (x + (points.detach() + step * gradient.sign() - x).clamp(-EPS, EPS)).clamp(0, 1)


def same_step(loss: Loss, dual: DualNetwork, samples: tuple[Tensor, Tensor], points: Tensor, seed: int) -> None:
    """Assert that value, gradients and running statistics are those of ordinary training at these points."""
    twin = copy.deepcopy(dual.model)
    expected = functional.cross_entropy(twin(points), samples[1])
    expected.backward()
    torch.manual_seed(seed)
    found = loss(dual, *samples, BALL)
    found.backward()
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    for (name, one), other in zip(dual.model.named_parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-7, atol=1e-9, msg=name)
    for one, other in zip(dual.model.buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("loss", "step"), [(FgsmLoss(), 1.25 * EPS), (FgsmLoss(step_size=2.0), 2 * EPS), (FgsmLoss(0.1, raw=True), 0.1)]
)
def test_fgsm_from_a_uniform_start_equals_the_loop_by_hand(dual, samples, loss, step) -> None:
    x, labels = samples
    start = (x + EPS * uniform(x, 3)).clamp(0, 1)
    same_step(loss, dual, samples, ascended(dual.model, x, labels, start, step), 3)


def test_a_start_may_lie_outside_the_domain(dual, samples) -> None:
    x, labels = samples
    points = ascended(dual.model, x, labels, x + EPS * uniform(x, 3), 1.25 * EPS)
    same_step(FgsmLoss(start="uncut"), dual, samples, points, 3)


def test_r_fgsm_begins_at_half_a_corner_and_fgsm_may_begin_at_the_sample(dual, samples) -> None:
    x, labels = samples
    torch.manual_seed(4)
    generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
    start = x + EPS / 2 * torch.randn(x.shape, generator=generator, dtype=x.dtype).sign()
    for place, loss in ((start.clamp(0, 1), RFgsmLoss()), (start, RFgsmLoss(start="uncut-hypercube"))):
        same_step(loss, copy.deepcopy(dual), samples, ascended(dual.model, x, labels, place, EPS / 2), 4)
    same_step(FgsmLoss(start="zero"), dual, samples, ascended(dual.model, x, labels, x, 1.25 * EPS), 4)


@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_pgd_equals_the_loop_by_hand_in_either_mode(dual, samples, mode) -> None:
    x, labels = samples
    seen = copy.deepcopy(dual.model).train(mode == "training")
    points = (x + EPS * uniform(x, 5)).clamp(0, 1)
    for _ in range(4):
        points = ascended(seen, x, labels, points, 0.07)
    same_step(PgdLoss(4, 0.07, raw=True, mode=mode), dual, samples, points, 5)


def test_n_fgsm_does_not_project_noise_plus_step(dual, samples) -> None:
    x, labels = samples
    start = (x + 2 * EPS * uniform(x, 6)).clamp(0, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(functional.cross_entropy(copy.deepcopy(dual.model)(start), labels), start)
    points = (start.detach() + EPS * gradient.sign()).clamp(0, 1)
    assert float((points - x).abs().max()) > 1.2 * EPS
    same_step(NFgsmLoss(), dual, samples, points, 6)


def test_the_previous_perturbation_is_the_next_start(dual, samples) -> None:
    x, labels = samples
    carried: dict[str, Tensor] = {}
    loss, offset = FgsmLoss(1.0, start="previous"), torch.zeros_like(x)
    for count in (9, 5, 9):
        some, theirs = x[:count], labels[:count]
        start = (some + offset[:count]).clamp(0, 1)
        points = ascended(dual.model, some, theirs, start, EPS)
        offset[:count] = points - some
        expected = functional.cross_entropy(copy.deepcopy(dual.model)(points), theirs)
        torch.testing.assert_close(loss(dual, some, theirs, BALL, carried=carried), expected)
    torch.testing.assert_close(carried["offset"], offset)
    with pytest.raises(InvalidInputError, match="union = 'worst'"):
        FgsmLoss(start="previous", union="average")


def test_free_training_shares_one_backward_pass_for_weights_and_perturbation(dual, samples) -> None:
    """Algorithm 6: both gradients are taken at the old perturbation; the next step uses the new one."""
    x, labels = samples
    twin, offset, carried = copy.deepcopy(dual.model), torch.zeros_like(x), {}
    ours, theirs = (torch.optim.SGD(model.parameters(), 0.1, momentum=0.9) for model in (dual.model, twin))
    for count in (9, 9, 5, 5, 9):  # two replays of each batch; the last batch of a pass is smaller
        some = x[:count]
        points = (some + offset[:count]).clamp(0, 1).requires_grad_()
        expected = functional.cross_entropy(twin(points), labels[:count])
        theirs.zero_grad()
        expected.backward()
        moved = (points.detach() - some + EPS * points.grad.sign()).clamp(-EPS, EPS)
        offset[:count] = (some + moved).clamp(0, 1) - some
        theirs.step()
        ours.zero_grad()
        found = FreeLoss(2)(dual, some, labels[:count], BALL, carried=carried)
        found.backward()
        ours.step()
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(carried["offset"], offset)
    for one, other in zip(dual.model.state_dict().values(), twin.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("loss", "forwards", "backwards"),
    [
        (FgsmLoss(), 2, 2),
        (RFgsmLoss(), 2, 2),
        (NFgsmLoss(), 2, 2),
        (FgsmLoss(start="previous"), 2, 2),
        (PgdLoss(5), 6, 6),
        (FreeLoss(), 1, 1),
        (TradesLoss(steps=5), 5 + 1 + 2, 6),  # one clean pass for the attack, and two passes that train
    ],
    ids=str,
)
def test_no_needless_pass_is_run(dual, samples, loss, forwards, backwards, monkeypatch):
    counted = {"forward": 0, "backward": 0}
    dual.model.register_forward_hook(lambda *_: counted.update(forward=counted["forward"] + 1))
    gradients, features = torch.autograd.grad, samples[0].shape[1]

    def counting(outputs: Any, inputs: Any, *more: Any, **keywords: Any) -> Any:
        (one,) = [inputs] if isinstance(inputs, Tensor) else inputs
        counted["backward"] += one.shape[-1] == features  # a slope at the outputs is no pass through the network
        return gradients(outputs, inputs, *more, **keywords)

    monkeypatch.setattr(torch.autograd, "grad", counting)
    loss(dual, *samples, BALL).backward()
    assert counted["forward"] == forwards and counted["backward"] + 1 == backwards
    assert int(dual.model[1].num_batches_tracked) == 1, "batch norms learn once"


def test_trades_is_cross_entropy_plus_beta_times_the_divergence(dual, samples) -> None:
    x, labels = samples
    dual.eval().requires_grad_(False)
    loss, batch = TradesLoss(beta=3.0, steps=6), Batch.of(dual, x, labels, BALL)
    torch.manual_seed(7)
    (points,) = loss.points(batch)
    assert bool(BALL.at(x).contains(points).all())

    def divergence(at: Tensor) -> Tensor:
        clean, moved = dual.outputs(x).softmax(1), dual.outputs(at).softmax(1)
        return (clean * (clean / moved).log()).sum(1)

    nearby = BALL.at(x).sample(5, torch.Generator().manual_seed(0))
    assert float(divergence(points).mean()) > float(torch.stack([divergence(one) for one in nearby]).amax(0).mean())
    expected = functional.cross_entropy(dual.outputs(x), labels) + 3 * divergence(points).mean()
    torch.manual_seed(7)
    torch.testing.assert_close(loss(dual, x, labels, BALL), expected)


def test_trades_has_the_gradient_of_its_own_divergence(samples) -> None:
    """By finite differences at fixed points; both outputs, clean and perturbed, depend on the weights."""
    torch.manual_seed(2)
    dual = autodual.compile_dual(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double().train())
    loss, points = TradesLoss(), torch.rand(9, 6, dtype=torch.float64)
    object.__setattr__(loss, "points", lambda batch: [points])
    loss(dual, *samples, BALL).backward()
    weight = dual.model[0].weight
    for place in ((0, 0), (3, 4)):
        values = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                weight[place] += step
                values.append(float(loss(dual, *samples, BALL)))
                weight[place] -= step
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(float(weight.grad[place]), rel=1e-5)


class Moody(nn.Module):
    """A network with spectral norm, batch norm and dropout; each pass in training mode changes some state."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.utils.parametrizations.spectral_norm(nn.Linear(6, 8))
        self.norm, self.drop, self.last = nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(self.norm(self.first(x)).relu()))


@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_an_attack_does_not_change_the_networks_state(samples, mode) -> None:
    torch.manual_seed(0)
    model = Moody().double().train()
    model.last.eval()
    before, modes = copy.deepcopy(model.state_dict()), [module.training for module in model.modules()]
    with seen_network(model, mode) as scores:
        assert scores(samples[0]).requires_grad
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert modes == [module.training for module in model.modules()] and model.norm.track_running_stats


def test_a_loss_over_a_union_is_the_maximum_or_the_mean_over_its_members(dual, samples, monkeypatch) -> None:
    monkeypatch.setattr(Batch, "generator", lambda _: torch.Generator().manual_seed(0))
    union = autodual.Union(autodual.LinfBall(0.1), autodual.L2Ball(0.3), autodual.L1Ball(0.5))
    dual.eval()
    x, labels = samples
    for loss in (PgdLoss(3), TradesLoss(steps=2), NFgsmLoss()):
        kind, options = type(loss), loss.__dict__
        single = [kind(**options).of(Batch.of(dual, x, labels, ball)) for ball in union.members()]
        torch.testing.assert_close(kind(**options).of(Batch.of(dual, x, labels, union)), torch.stack(single).amax(0))
        average = kind(**{**options, "union": "average"}).of(Batch.of(dual, x, labels, union))
        torch.testing.assert_close(average, torch.stack(single).mean(0))
    for loss in (MultiSteepest(2), FreeLoss(), FgsmLoss()):
        assert bool(loss(dual.train(), x, labels, union).isfinite())


def test_a_step_of_an_l1_ball_is_sparse_and_of_an_l2_ball_has_its_length(dual, samples) -> None:
    x, labels = samples
    for ball, order in ((autodual.L2Ball(9.0), 2), (autodual.L1Ball(9.0), 1)):
        (points,) = PgdLoss(1, 0.7, raw=True, start="zero").points(Batch.of(dual, x, labels, ball))
        lengths = torch.linalg.vector_norm(points - x, order, dim=1)
        torch.testing.assert_close(lengths, torch.full_like(lengths, 0.7))


def test_mixed_precision_gives_every_weight_its_gradient() -> None:
    """Autocast caches cast weights; copies from the attack, which have no gradients, must not be reused in training."""
    torch.manual_seed(0)
    dual = autodual.compile_dual(nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))).train()
    for loss in (FgsmLoss(), PgdLoss(2, restarts=2), TradesLoss(steps=2), FreeLoss()):
        dual.model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(dual, torch.rand(5, 6), torch.arange(5) % 3, BALL)
        value.backward()
        assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in dual.model.parameters()), loss


def test_networks_without_dual_rules_can_be_attacked() -> None:
    class Strange(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.fft.fft(x).real)

    dual = autodual.compile_dual(Strange()).train()
    for loss in (FgsmLoss(), PgdLoss(2), TradesLoss(steps=2), FreeLoss()):
        loss(dual, torch.rand(5, 6), torch.arange(5) % 3, BALL).backward()


def test_training_on_near_points_takes_the_first_that_is_misclassified(dual, samples) -> None:
    x, labels = samples
    dual.eval()
    for ball in (BALL, autodual.L2Ball(2.0)):
        near = PgdLoss(40, 0.5, start="zero", growth=1.4, every=5, first=True, mode="evaluation")
        batch = Batch.of(dual, x, labels, ball)
        (points,), (far,) = near.points(batch), PgdLoss(40, start="zero", mode="evaluation").points(batch)
        wrong = (dual.model(points).argmax(1) != labels) & (dual.model(x).argmax(1) == labels)
        assert wrong.any()
        order = ball.order
        assert (
            (torch.linalg.vector_norm(points - x, order, dim=1)[wrong]).mean()
            < 0.6 * torch.linalg.vector_norm(far - x, order, dim=1)[wrong].mean()
        )
        assert ball.at(x).contains(points).all()


def test_near_points_see_the_whole_batch_where_batch_norm_does() -> None:
    """Refuted samples stay where they were refuted, and stay in the batch: statistics of what is left are others."""
    torch.manual_seed(0)
    layers = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)
    dual, x = autodual.compile_dual(nn.Sequential(*layers)).train(), torch.rand(5, 6)
    right = dual.model(x).argmax(1)
    labels = torch.cat([right[:1], (right[1:] + 1) % 3])  # one sample is classified correctly
    loss = PgdLoss(20, 0.5, start="zero", growth=1.4, every=2, first=True)
    (points,) = loss.points(Batch.of(dual, x, labels, autodual.LinfBall(0.5)))
    assert torch.equal(points[1:], x[1:])
    assert (points[0] != x[0]).any()
    loss(dual, x, labels, autodual.LinfBall(0.5)).backward()


@pytest.mark.parametrize("step", ["customary", "frank-wolfe", "sinkhorn"])
def test_networks_can_be_trained_on_points_of_wasserstein_balls(step: str) -> None:
    torch.manual_seed(0)
    dual = autodual.compile_dual(nn.Sequential(nn.Flatten(), nn.Linear(25, 12), nn.ReLU(), nn.Linear(12, 3))).train()
    x, labels, ball = torch.rand(4, 1, 5, 5), torch.arange(4) % 3, autodual.WassersteinBall(0.3, window=3)
    loss = PgdLoss(6, step=step, start="zero", growth=1.4, every=2, first=True)
    (points,) = loss.points(Batch.of(dual, x, labels, ball))
    assert ball.at(x).contains(points).all()
    assert (points != x).flatten(1).any(1).any()
    loss(dual, x, labels, ball).backward()
    assert all(weight.grad.isfinite().all() and weight.grad.any() for weight in dual.model.parameters())
