"""`evaluate` with several attacks: compared with the exact margins of a simple function, and with each attack alone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

import autodual
from autodual.attacks import Apgd, Attack, Fgsm, Msd, Pgd, evaluate
from autodual.errors import InvalidInputError
from autodual.specs import AvoidedClass, ClassMargin, Deviation

LABELS = torch.tensor([0, 0, 0, 1])
#: Scores are the inputs: within an l∞ distance r the margin f₀ − f₁ falls by up to 2r.
X = torch.tensor([[1.0, 0.8], [1.0, 0.5], [0.0, 1.0], [0.0, 0.1]])


@dataclass(frozen=True)
class Outside(Attack):
    """Returns a point far outside the set, where a wrong class wins."""

    def run(self, function, region, specification, generator=None):
        return region.centre.flip(1) * 100


@pytest.fixture(scope="module")
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, 4))


def test_the_errors_are_those_of_the_exact_margins():
    found = evaluate(nn.Identity(), X, autodual.LinfBall(0.2), LABELS, [Fgsm(), Pgd(steps=4)])
    assert [sample.wrong for sample in found] == [False, False, True, False]
    assert [sample.broken for sample in found] == [True, False, False, True]
    torch.testing.assert_close(
        torch.tensor([sample.margin for sample in found]), torch.tensor([-0.2, 0.1, -1.0, -0.3]), atol=1e-6, rtol=0
    )
    assert found.clean_error == 0.25 and found.robust_error == 0.75
    assert found.error_under("Fgsm") == found.error_under("Pgd") == 0.75
    assert [sample.reached for sample in found] == [1, None, None, 0]
    first = found[0]
    assert first.linf == pytest.approx(0.2, abs=1e-6) and first.l1 == pytest.approx(0.4, abs=1e-6)
    assert first.l2 == pytest.approx(0.2 * 2**0.5, abs=1e-6)
    assert found[2].linf == 0 and found[2].attack is None and torch.equal(found[2].point, X[2])


def test_points_outside_the_set_do_not_count():
    found = evaluate(nn.Identity(), X, autodual.LinfBall(0.2), LABELS, Outside())
    assert found.robust_error == found.clean_error and not any(sample.broken for sample in found)
    assert [sample.margin for sample in found] == [sample.clean_margin for sample in found]


def test_unconfirmed_points_do_not_count():
    """A point that `confirm` classifies correctly is no counterexample, and the margin is that of `confirm`."""
    found = evaluate(
        nn.Identity(), X, autodual.LinfBall(0.2), LABELS, Fgsm(), confirm=lambda z: z + torch.tensor([0.3, 0.0])
    )
    assert [sample.broken for sample in found] == [False, False, False, True]
    assert found[0].margin == pytest.approx(0.1, abs=1e-6)


def test_each_attack_has_its_own_error_and_the_worst_point_of_all_is_kept(network):
    x = torch.randn(60, 6, generator=torch.Generator().manual_seed(1))
    labels = network.eval()(x).argmax(1)
    attacks = {"one": Fgsm(), "many": Pgd(steps=20, restarts=2), "adaptive": Apgd(steps=20)}
    found = evaluate(network, x, autodual.LinfBall(0.2), labels, attacks)
    assert 0 < found.robust_error < 1
    for name, attack in attacks.items():
        alone = evaluate(network, x, autodual.LinfBall(0.2), labels, {name: attack})
        assert found.error_under(name) == alone.robust_error
        assert all(one.margin <= other.margin + 1e-6 for one, other in zip(found, alone, strict=True))
    points = torch.stack([sample.point for sample in found])
    region, goal = autodual.LinfBall(0.2).at(x), ClassMargin(labels)
    broken = torch.tensor([sample.broken for sample in found])
    assert torch.equal(autodual.attacks.counterexamples(network, region, goal, points), broken)


def test_each_member_of_a_union_has_its_own_error(network):
    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(2))
    labels = network.eval()(x).argmax(1)
    small, large = autodual.LinfBall(0.1), autodual.L1Ball(1.5)
    found = evaluate(network, x, autodual.Union(small, large), labels, [Pgd(steps=10), Msd(steps=10)])
    for member in (small, large):
        alone = evaluate(network, x, member, labels, Pgd(steps=10))
        assert found.error_in(member.describe()) >= alone.robust_error
    assert found.robust_error >= max(map(found.error_in, found.members)) > 0
    assert all(bool(sample.broken_in) == sample.broken for sample in found)
    assert {sample.member for sample in found} <= {None, *found.members}


def test_the_module_is_run_in_evaluation_mode_and_left_as_it_was(network):
    network.train()
    network[3].eval()
    x = torch.rand(8, 6)
    first, second = (evaluate(network, x, autodual.L2Ball(0.1), attacks=Pgd(steps=3)) for _ in range(2))
    assert [one.margin for one in first] == [one.margin for one in second]  # no dropout
    assert network.training and network[2].training and not network[3].training
    assert all(parameter.grad is None for parameter in network.parameters())


def test_batches_change_nothing_where_an_attack_draws_nothing(network):
    x = torch.rand(9, 6, dtype=torch.float64)
    network = nn.Sequential(*network).double().eval()
    whole, parts = (
        evaluate(network, x, autodual.LinfBall(0.1), attacks=[Fgsm(), Pgd(steps=5)], batch_size=size)
        for size in (None, 2)
    )
    network.float()
    assert [one.margin for one in whole] == pytest.approx([one.margin for one in parts], abs=1e-12)
    assert whole[0].point.dtype == torch.float64


def test_progress_moves_within_a_batch():
    told = []
    evaluate(
        nn.Identity(), X, autodual.LinfBall(0.2), LABELS, [Fgsm(), Pgd(steps=4)], batch_size=2,
        progress=lambda *words: told.append(words),
    )  # fmt: skip
    done = [entry[0] for entry in told]
    assert done == sorted(done) and done[-1] == told[0][1] == 4
    assert any(words.startswith("Pgd: 3 passes") for _, _, words in told)


def test_targets_and_other_properties():
    x = torch.tensor([[1.0, 0.8, 0.0], [0.0, 1.0, 0.9]])
    found = evaluate(nn.Identity(), x, autodual.LinfBall(0.2), spec=AvoidedClass(2), attacks=Pgd(steps=4))
    assert [(sample.broken, sample.predicted, sample.reached) for sample in found] == [(False, 0, None), (True, 1, 2)]
    found = evaluate(nn.Identity(), x, autodual.LinfBall(0.2), spec=Deviation(0.1), attacks=Pgd(steps=4))
    assert found.robust_error == 1 and found[0].predicted is None


def test_label_maps_and_ignored_positions():
    x = torch.tensor([[[1.0, 1.0], [0.8, 0.0]], [[1.0, 1.0], [0.0, 0.0]]])  # [N, classes, positions]
    labels = torch.tensor([[0, 0], [0, -100]])
    found = evaluate(nn.Identity(), x, autodual.LinfBall(0.2), labels, Pgd(steps=4))
    assert [sample.broken for sample in found] == [True, False] and found[0].label is None


def test_nan_is_never_an_error_nor_a_margin():
    found = evaluate(lambda z: z * torch.nan, X, autodual.LinfBall(0.2), spec=Deviation(0.1), attacks=Fgsm())
    assert not any(sample.broken or sample.wrong for sample in found)


def test_a_network_of_nan_scores_is_wrong_everywhere():
    """`argmax` takes NaN for the largest score, by which samples of class 0 would count as right."""
    for function in (lambda z: z * torch.nan, lambda z: torch.stack([z[:, 0] * torch.nan, z[:, 1]], 1)):
        found = evaluate(function, X, autodual.LinfBall(0.2), LABELS, Fgsm())
        assert found.clean_error == found.robust_error == 1.0


@pytest.mark.parametrize("attacks", [[], {}, ["pgd"], Fgsm, {"one": None}])
def test_values_that_are_no_attacks_are_refused(attacks):
    with pytest.raises(InvalidInputError, match="attacks must be"):
        evaluate(nn.Identity(), X, autodual.LinfBall(0.2), LABELS, attacks)


@pytest.mark.parametrize("attack", [Apgd(5), Apgd(5, objective="kl"), Msd(3)], ids=repr)
def test_an_attack_in_inference_mode_has_its_gradients(attack):
    """Where there are none, an attack would stand still and call every network robust."""
    ball = autodual.LinfBall(0.2)
    expected = evaluate(nn.Identity(), X, ball, LABELS, attack)
    with torch.inference_mode():
        found = evaluate(nn.Identity(), X + 0, ball, LABELS + 0, attack)
    assert found.robust_error == expected.robust_error > expected.clean_error
    assert all(torch.equal(one.point, other.point) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (nn.Identity(), {"batch_size": 0}, "batch_size must be 1 or more, not 0"),
        (nn.Identity(), {"batch_size": -1}, "batch_size must be 1 or more, not -1"),
        (lambda z: (z,), {}, "must give a tensor, not a tuple"),
        (
            lambda z: z[:1].squeeze(),
            {},
            r"gives outputs of shape \[\d+\] for \d+ sample\(s\), whose axis must come first",
        ),
        (torch.squeeze, {"batch_size": 1}, r"gives outputs of shape \[\d+\] for 1 sample\(s\)"),
    ],
)
def test_senseless_batches_and_outputs_are_refused(function, options, message):
    with pytest.raises(InvalidInputError, match=message):
        evaluate(function, X, autodual.LinfBall(0.2), LABELS, Fgsm(), **options)
