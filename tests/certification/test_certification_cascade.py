"""Cascades: two inputs, each in the set around the other, never get different labels, and labels are right."""

from __future__ import annotations

import math

import pytest
import torch
from support.cascades import compiled, line, plane, without_check
from torch import Tensor, nn

import autodual
from autodual import Cascade, CascadeCertificate, Status
from autodual.errors import InvalidInputError
from autodual.passes import HighProbability, default_pipeline


def _same(first: CascadeCertificate, second: CascadeCertificate) -> bool:
    keys = ("status", "predicted", "guess", "label", "stage", "disagreement")
    return all(getattr(first, key) == getattr(second, key) for key in keys)


def test_the_smallest_pair_that_gets_two_labels_without_the_check() -> None:
    """Stage 1 certifies class 0 at 0.8 but nothing at 0; stage 2 says class 1 everywhere."""
    cascade, x, ball = (
        compiled(line(1, 0.5), line(0, -1)),
        torch.tensor([[0.8], [0.0]]).double(),
        autodual.LinfBall(1),
    )
    assert without_check(cascade, x, ball) == [0, 1]
    first, second = autodual.certify_cascade(cascade, x, ball)
    assert (first.status, first.predicted, first.guess, first.stage) == (Status.CERTIFIED, 0, 0, 1)
    assert first.disagreement is None and not first.abstains and len(first.certificates) == 1
    assert (second.status, second.predicted, second.guess, second.stage) == (Status.UNKNOWN, None, 0, None)
    assert second.disagreement == 2 and second.abstains and len(second.certificates) == 2
    assert second.certificates[1].certified  # of the stage, which proves nothing about the cascade


def test_every_visited_stage_must_agree_not_only_the_one_that_certifies() -> None:
    """At 0.3 stages 1 and 3 say class 0, which stage 3 certifies; at -0.3 stages 1 and 2 say class 1, by stage 2."""
    cascade = compiled(line(1, 0), line(0, -1), line(0, 1))
    near, other = autodual.certify_cascade(cascade, torch.tensor([[0.3], [-0.3]]).double(), autodual.LinfBall(1.0))
    assert near.abstains and near.disagreement == 2
    assert (other.predicted, other.stage) == (1, 2)


def test_a_cascade_certifies_more_than_its_first_stage() -> None:
    cascade, x, ball = compiled(line(1, 0.5), line(1, 3.0)), torch.tensor([[0.0]]).double(), autodual.LinfBall(1.0)
    (found,) = autodual.certify_cascade(cascade, x, ball, torch.tensor([0]))
    assert found.certified and (found.stage, found.predicted, found.label) == (2, 0, 0)
    assert [one.status for one in found.certificates] == [Status.UNKNOWN, Status.CERTIFIED]
    (wrong,) = autodual.certify_cascade(cascade, x, ball, torch.tensor([1]))
    assert wrong.status is Status.MISCLASSIFIED and not wrong.certified and not wrong.abstains
    assert (wrong.predicted, wrong.guess, wrong.label) == (0, 0, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_samples_label_does_not_depend_on_its_batch(dtype: torch.dtype) -> None:
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(8), dtype=torch.float64).to(dtype)
    labels = torch.arange(40) % 3
    cascade, ball = compiled(*[plane(seed).to(dtype) for seed in (3, 4, 5)]), autodual.LinfBall(0.2)
    together = autodual.certify_cascade(cascade, x, ball, labels)
    alone = [autodual.certify_cascade(cascade, x[n : n + 1], ball, labels[n : n + 1])[0] for n in range(len(x))]
    assert all(_same(*pair) for pair in zip(together, alone, strict=True))
    assert {one.stage for one in together} >= {None, 1, 2} and {one.disagreement for one in together} >= {None, 2, 3}
    for mine, other in zip(together, alone, strict=True):
        for first, second in zip(mine.certificates, other.certificates, strict=True):
            assert first.margin == pytest.approx(second.margin, rel=1e-4, abs=1e-5)


def test_a_cascade_of_one_stage_agrees_with_certify(dual: autodual.DualNetwork, x: Tensor, labels: Tensor) -> None:
    ball = autodual.LinfBall(0.2)
    found = autodual.certify_cascade(Cascade([dual]), x, ball, labels)
    expected = autodual.certify(dual, x, ball, labels)
    assert [one.certified for one in found] == [one.certified for one in expected]
    assert {one.status for one in found} == {Status.CERTIFIED, Status.UNKNOWN, Status.MISCLASSIFIED}
    assert [one.guess for one in found] == [one.predicted for one in expected]


def _difference(weight: float, bias: float) -> nn.Linear:
    """Class 0 where weight · (z_0 - z_1) + bias > 0, else class 1; computed by each class on its own."""
    layer = nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[weight, -weight], [0.0, 0.0]]))
        layer.bias.copy_(torch.tensor([bias, 0.0]))
    return layer


def test_stages_do_not_agree_at_ties_or_within_rounding() -> None:
    """Float32 sees a tie at stage 2, which argmax gives to class 0 like stage 1; in truth class 1 leads by 0.1."""
    shift = nn.Linear(2, 2)
    with torch.no_grad():
        shift.weight.copy_(torch.eye(2))
        shift.bias.fill_(1e8)
    blurred, sure = nn.Sequential(shift, nn.ReLU(), _difference(1, 0)), _difference(0, 5)
    ball = autodual.LinfBall(0.5)
    for x in (torch.tensor([[0.2, 0.3]]), torch.tensor([[0.25, 0.25]])):
        (found,) = autodual.certify_cascade(compiled(_difference(1, 0.2), blurred, sure), x, ball)
        assert [one.predicted for one in found.certificates] == [0, 0]
        assert found.abstains and found.disagreement == 2
        (first,) = autodual.certify_cascade(compiled(blurred, sure), x, ball)
        assert first.abstains and first.disagreement == 1
    clear = torch.tensor([[0.3, 0.2]])
    (found,) = autodual.certify_cascade(compiled(_difference(1, 0.2), blurred, sure), clear, ball)
    assert (found.predicted, found.stage) == (0, 3)  # decided in float64, because float32 cannot


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 1])
def test_nan_and_infinite_weights_give_no_label(place: int, poison: float) -> None:
    """In any stage, once that stage is reached."""
    stages = [line(1, 0.5), line(1, 3.0)]
    cascade, x, ball = compiled(*stages), torch.tensor([[0.0]]).double(), autodual.LinfBall(1.0)
    assert autodual.certify_cascade(cascade, x, ball)[0].certified
    for parameter in stages[place].parameters():
        values = parameter.data.view(-1)
        for entry in range(len(values)):
            kept, values[entry] = values[entry].clone(), poison
            (found,) = autodual.certify_cascade(cascade, x, ball)
            assert found.abstains and found.disagreement == place + 1
            values[entry] = kept


def test_probable_certificates_give_no_label(dual: autodual.DualNetwork, x: Tensor) -> None:
    """The next stage must certify the sample for certain, or the cascade abstains."""
    ball = autodual.LinfBall(0.02)
    passes = [*default_pipeline(), HighProbability(0.01, 5000, 0, prefer_exact=False)]
    estimated = autodual.compile_dual(dual.model, passes=passes)
    probable = [one.status is Status.PROBABLY_CERTIFIED for one in autodual.certify(estimated, x, ball)]
    assert any(probable)
    alone = autodual.certify_cascade(Cascade([estimated]), x, ball)
    assert all(one.abstains for one, chance in zip(alone, probable) if chance)
    both = autodual.certify_cascade(Cascade([estimated, dual]), x, ball)
    assert all(one.stage == 2 for one, chance in zip(both, probable) if chance)


def test_a_set_that_is_not_symmetric_is_refused() -> None:
    cascade, x = compiled(line(1, 0.5)), torch.tensor([[0.2], [0.5]]).double()
    product = autodual.ProductSet((autodual.Box(0.0, 1.0),), ((1,),))
    for ball in (autodual.Box(0.0, 1.0), autodual.LinfBall(torch.tensor([0.1, 0.2])), product):
        with pytest.raises(InvalidInputError, match="needs a set that is symmetric"):
            autodual.certify_cascade(cascade, x, ball)
    assert len(autodual.certify_cascade(cascade, x, autodual.LinfBall(torch.tensor([0.1, 0.1])))) == 2


def test_a_sample_outside_the_domain_is_refused() -> None:
    """If it were accepted, the second sample, in the first one's set, would get class 1 and the first class 0."""
    cascade = compiled(line(1, 0.5), line(0, -1))
    ball = autodual.LinfBall(1.0, (-1.0, 1.0))
    with pytest.raises(InvalidInputError, match="sample 1 lies outside the domain"):
        autodual.certify_cascade(cascade, torch.tensor([[0.0], [1.2]]).double(), ball)
    single = torch.tensor([[0.1]])  # float32, a little above 0.1
    with pytest.raises(InvalidInputError, match="sample 0 lies outside the domain"):
        autodual.certify_cascade(compiled(line(1, 0.5, torch.float32)), single, autodual.LinfBall(1.0, (0.0, 0.1)))


def test_invalid_stages_labels_and_samples_are_refused(dual: autodual.DualNetwork, x: Tensor) -> None:
    with pytest.raises(InvalidInputError, match="at least one stage"):
        Cascade([])
    with pytest.raises(InvalidInputError, match="stage 2 of the cascade is a Linear, not a dual network"):
        Cascade([dual, line(1, 0.0)])  # type: ignore[list-item]
    other = autodual.compile_dual(nn.Linear(2, 4).double())
    ball = autodual.LinfBall(0.1)
    with pytest.raises(InvalidInputError, match=r"the same classes, but have \[3, 4\]"):
        autodual.certify_cascade(Cascade([dual, other]), x, ball)
    with pytest.raises(InvalidInputError, match="the label of sample 0 is 3"):
        autodual.certify_cascade(Cascade([dual]), x, ball, torch.full((len(x),), 3))
    with pytest.raises(InvalidInputError, match="there are 2 labels for 40 samples"):
        autodual.certify_cascade(Cascade([dual]), x, ball, torch.tensor([0, 1]))
    with pytest.raises(InvalidInputError, match="sample 0 holds NaN"):
        autodual.certify_cascade(Cascade([dual]), x * math.nan, ball)
