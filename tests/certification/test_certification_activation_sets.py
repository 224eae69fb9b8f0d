"""Errors under attack, and the units whose activation the bounds decide."""

from __future__ import annotations

import torch
from torch import nn

import autodual
from autodual.attacks import Fgsm, Pgd, broken
from autodual.certification.activation_sets import activation_sets


def network() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 3)).double()
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight *= 2  # type: ignore[operator]
        middle = model(torch.full((1, 4), 0.5, dtype=torch.float64))
        model[4].bias -= middle[0]  # so that no class wins everywhere
    return model


def test_attacks_break_all_misclassified_samples_and_no_certified_one() -> None:
    x = torch.rand(40, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    dual, ball = autodual.compile_dual(network()), autodual.LinfBall(0.08)
    labels = dual.outputs(x).argmax(1)
    labels[:5] = (labels[:5] + 1) % 3
    found = [broken(dual.outputs, ball.at(x), labels, attack) for attack in (None, Fgsm(), Pgd(20))]
    assert found[0].nonzero()[:, 0].tolist() == list(range(5))
    assert bool((found[1] >= found[0]).all()) and bool((found[2] >= found[0]).all())
    assert found[2].sum() > found[0].sum()
    certified = [str(certificate.status) == "certified" for certificate in autodual.certify(dual, x, ball, labels)]
    assert 0 < sum(certified) < 40
    assert not bool((found[2] & torch.tensor(certified)).any())


def test_activation_sets_agree_with_the_corners_of_the_box() -> None:
    x = torch.rand(6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    model = network()
    dual, ball = autodual.compile_dual(model, x), autodual.LinfBall(0.1)
    sets = activation_sets(dual, x, ball)
    assert set(sets) == set(dual.plan.sites)
    values = model[0](ball.at(x).corners(500, torch.Generator().manual_seed(0)))
    first = sets[dual.plan.sites[0]]
    torch.testing.assert_close(first.sum(1), torch.ones(6, dtype=torch.float64))
    # Intervals of one affine layer over a box are exact, and attained at its corners.
    torch.testing.assert_close(first[:, 0], (values <= 0).all(0).double().mean(1))
    torch.testing.assert_close(first[:, 1], (values >= 0).all(0).double().mean(1))
