"""Mixup: weighted means of samples, losses with the same weights, and attacks that ascend the mixed loss."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as functional
from support.tiny_training import finish, same, tiny_data, tiny_recipe, tiny_training
from torch import Tensor, nn

import autodual
from autodual.errors import InvalidInputError
from autodual.train.augmentation import Flip, Mixup
from autodual.train.losses import Batch, Clean, FreeLoss, IntervalBound, PgdLoss
from autodual.train.losses.multi_step import Adversarial
from autodual.train.mixed_labels import MixedLabels, MixedMargin


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def dual() -> autodual.DualNetwork:
    torch.manual_seed(4)
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 3)).double()
    return autodual.compile_dual(model.eval(), torch.rand(1, 6, dtype=torch.float64))


@pytest.fixture
def mixed() -> tuple[Tensor, MixedLabels]:
    x, labels = torch.rand(5, 6, dtype=torch.float64), torch.arange(5) % 3
    return Mixup(1.0)(x, labels)


def soft_entropy(scores: Tensor, labels: MixedLabels) -> Tensor:
    """The mixed loss computed differently: cross-entropy with the distribution of the labels."""
    soft = sum(share * functional.one_hot(one, 3) for share, one in labels.parts)
    return -(soft * scores.log_softmax(-1)).sum(-1)


def test_samples_and_labels_are_mixed_alike_with_beta_distributed_shares() -> None:
    x, labels = torch.eye(64), torch.arange(64)
    shares = []
    for _ in range(300):
        found, targets = Mixup(0.7)(x, labels)
        assert isinstance(targets, MixedLabels)
        (share, own), (rest, other) = targets.parts
        assert torch.equal(own, labels) and other.sort().values.equal(labels) and share + rest == pytest.approx(1)
        expected = share * x + rest * x[other]
        torch.testing.assert_close(found, expected)
        shares.append(share)
    spread = torch.tensor(shares)
    assert float(spread.mean()) == pytest.approx(0.5, abs=0.07)  # variance of Beta(a, a): 1 / (4 (2a + 1))
    assert float(spread.var()) == pytest.approx(1 / (4 * 2.4), rel=0.2)


def test_mixing_twice_gives_every_sample_four_labels_whose_shares_sum_to_one() -> None:
    x, labels = Mixup()(*Mixup()(torch.eye(9), torch.arange(9)))
    assert isinstance(labels, MixedLabels) and len(labels.parts) == 4
    soft = sum(share * functional.one_hot(one, 9) for share, one in labels.parts)
    torch.testing.assert_close(soft, x)


@pytest.mark.parametrize("loss", [Clean(), PgdLoss(steps=3, start="zero"), Adversarial(2), FreeLoss(2)])
def test_losses_mix_as_the_labels_do(dual, mixed, loss) -> None:
    """At radius zero the attack cannot move, so each loss is the soft cross-entropy at the sample."""
    x, labels = mixed
    found = loss(dual, x, labels, autodual.LinfBall(0.0))
    torch.testing.assert_close(found, soft_entropy(dual.model(x), labels).mean())


def test_an_attack_climbs_the_mixed_loss(dual, mixed) -> None:
    """One sign step from the sample follows the gradient of the mixed loss, not that of one label."""
    x, labels = mixed
    batch = Batch.of(dual, x, labels, autodual.LinfBall(0.1))
    loss = PgdLoss(steps=1, start="zero", step_size=1.0)
    points = loss.points(batch)[0]
    leaf = x.clone().requires_grad_()
    gradient = torch.autograd.grad(soft_entropy(dual.model(leaf), labels).sum(), leaf)[0]
    torch.testing.assert_close(points, x + 0.1 * gradient.sign())
    assert not torch.equal(points, loss.points(Batch.of(dual, x, labels.parts[0][1], autodual.LinfBall(0.1)))[0])


def test_the_margin_of_mixed_labels_is_the_mean_weighted_by_shares() -> None:
    scores, labels = torch.randn(6, 3), MixedLabels(((0.3, torch.arange(6) % 3), (0.7, (torch.arange(6) + 1) % 3)))
    goal = MixedMargin.of(labels, 1)
    margins = goal.margin_of(goal.rows(scores), scores)
    others = [
        scores.gather(1, one[:, None])[:, 0] - scores.scatter(1, one[:, None], -torch.inf).amax(1)
        for _, one in labels.parts
    ]
    torch.testing.assert_close(margins, 0.3 * others[0] + 0.7 * others[1])
    index = torch.tensor([4, 1])
    part = goal.select(index)
    torch.testing.assert_close(part.margin_of(part.rows(scores[index]), scores[index]), margins[index])


def test_bounds_are_refused_for_mixed_labels(dual, mixed) -> None:
    with pytest.raises(InvalidInputError, match="one label a sample"):
        IntervalBound()(dual, *mixed, autodual.LinfBall(0.1))
    with pytest.raises(InvalidInputError, match="bounds are for one label a sample: leave mixup out"):
        tiny_recipe(data={"augmentations": ["mixup"], "hold_out": 8})


def test_a_run_with_mixup_resumes_to_the_last_bit(tmp_path: Path) -> None:
    values = {
        "data": {"hold_out": 8, "augmentations": ["flip", "mixup"]},
        "network": {"arch": "mlp:6"},
        "loss": {"kind": "pgd", "steps": 2},
        "scheduled": {},
    }
    assert tiny_recipe(**values).data.augmentations == (Flip(), Mixup(1.4)) and len(tiny_data()) == 32
    whole = finish(tiny_training(tmp_path / "whole", **values))
    first = tiny_training(tmp_path / "parts", **values)
    for step in range(7):
        first.step(stop=step == 6)
    assert same(finish(tiny_training(tmp_path / "parts", resume=True, **values)), whole)
