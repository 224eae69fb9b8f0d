"""The next stage of a cascade is trained on exactly the samples that no earlier stage certifies."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import autodual
from autodual.errors import InvalidInputError
from autodual.train import uncertified


def _stage(seed: int) -> autodual.DualNetwork:
    torch.manual_seed(seed)
    return autodual.compile_dual(nn.Sequential(nn.Linear(2, 12), nn.ReLU(), nn.Linear(12, 3)).double())


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(50, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def stages() -> list[autodual.DualNetwork]:
    return [_stage(seed) for seed in range(3)]


@pytest.mark.parametrize("slopes", ["shared", "adaptive"])
def test_a_sample_is_kept_iff_it_has_a_nonpositive_margin_at_every_stage(stages, x, slopes) -> None:
    ball, labels = autodual.LinfBall(0.05), stages[0].outputs(x).argmax(1)
    labels[:5] = (labels[:5] + 1) % 3
    margins = [stage.margins(x, labels, ball, slopes=slopes) for stage in stages]
    others = torch.arange(3) != labels.unsqueeze(1)
    expected = torch.stack([((J <= 0) & others).any(1) for J in margins]).all(0)
    found = uncertified(stages, x, labels, ball, 7, slopes=slopes)
    assert found.dtype == torch.bool and torch.equal(found, expected)
    kept = [int(uncertified(stages[:count], x, labels, ball, slopes=slopes).sum()) for count in range(4)]
    assert kept[0] == 50 and kept == sorted(kept, reverse=True) and 0 < kept[3] < kept[1] < 50


def test_certified_samples_are_never_kept(stages, x) -> None:
    """Certificates subtract rounding errors too, so a certified sample always counts as certified in training."""
    ball, labels = autodual.LinfBall(0.05), stages[0].outputs(x).argmax(1)
    found = uncertified(stages, x, labels, ball)
    for stage in stages:
        certified = [one.certified for one in autodual.certify(stage, x, ball, labels, slopes="shared")]
        assert not bool((found & torch.tensor(certified)).any())


def test_batches_change_nothing_and_later_stages_run_on_remaining_samples_only(stages, x) -> None:
    ball, labels, seen = autodual.LinfBall(0.05), stages[0].outputs(x).argmax(1), []
    expected = uncertified(stages, x, labels, ball)
    first = int(uncertified(stages[:1], x, labels, ball).sum())
    hook = stages[1].register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    for batch_size in (1, 3, 50, 1000):
        seen.clear()
        assert torch.equal(uncertified(stages, x, labels, ball, batch_size), expected)
        assert sum(seen) == first and max(seen) <= batch_size
    hook.remove()


def test_without_stages_samples_or_uncertified_samples(stages, x) -> None:
    ball, labels = autodual.LinfBall(0.05), torch.zeros(50, dtype=torch.long)
    assert bool(uncertified([], x, labels, ball).all())
    with pytest.raises(InvalidInputError, match="holds no samples"):
        uncertified(stages, x[:0], labels[:0], ball)
    sure = nn.Linear(2, 3).double()
    with torch.no_grad():
        sure.weight.zero_()
        sure.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    assert not bool(uncertified([autodual.compile_dual(sure), *stages], x, labels, ball).any())


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_stage_with_nan_or_infinite_outputs_certifies_nothing(x, poison) -> None:
    model = nn.Linear(2, 3).double()
    stage = autodual.compile_dual(model, x)
    with torch.no_grad():
        model.bias[0] = poison
    assert bool(uncertified([stage], x, torch.zeros(50, dtype=torch.long), autodual.LinfBall(0.05)).all())


def test_sets_and_labels_that_do_not_fit_are_refused(stages, x) -> None:
    labels = torch.zeros(50, dtype=torch.long)
    with pytest.raises(InvalidInputError, match="radius has the shape"):
        uncertified(stages, x, labels, autodual.LinfBall(torch.full((50,), 0.1)), 50)
    with pytest.raises(InvalidInputError, match="the label of sample 0 is 3"):
        uncertified(stages, x, labels + 3, autodual.LinfBall(0.1))
