"""Networks with one kind of gradient masking show its sign, and others show none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.attacks import Apgd, Fgsm, Pgd, Square, Standard, broken
from autodual.errors import InvalidInputError
from autodual.evaluation import MaskingSign, masking_signs
from autodual.specs import ClassMargin, Deviation, Formula

X = torch.rand(40, 16, generator=torch.Generator().manual_seed(0))
NEAR_ZERO = 0.02 * X[:30, :3]
BALL = autodual.LinfBall(0.2, domain=(0, 1))


def sound(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).requires_grad_(False).eval()


def signs(function, ball=BALL, x: Tensor = X, attack=None, **options) -> dict[str, MaskingSign]:
    with torch.no_grad():
        labels = function(x).argmax(1)
    return {sign.name: sign for sign in masking_signs(function, ball.at(x), labels, attack, **options)}


class Before(nn.Module):
    """A function of the inputs in front of a sound network."""

    def __init__(self, change):
        super().__init__()
        self.change, self.network = change, sound()

    def forward(self, x):
        return self.network(self.change(x))


def trap(z: Tensor) -> Tensor:
    """Along the only feature that matters, the margin falls, rises again, and is negative after a long step."""
    u = z[:, :1].abs()
    return two_scores(1 - 2 * u + 4 * (u - 0.25).relu() - 6 * (u - 0.5).relu())


def valley(z: Tensor) -> Tensor:
    """The margin is negative half-way, and a long step jumps over that."""
    u = z[:, :1].abs()
    return two_scores(1 - 4 * u + 8 * (u - 0.5).relu())


def two_scores(margin: Tensor) -> Tensor:
    return torch.cat([margin, torch.zeros_like(margin)], 1)


@pytest.mark.parametrize(
    "ball",
    [
        autodual.LinfBall(0.03),
        autodual.LinfBall(0.2, domain=(0, 1)),
        autodual.L2Ball(0.3, domain=(0, 1)),
        autodual.L1Ball(0.8),
        autodual.Union(autodual.LinfBall(0.1), autodual.L2Ball(0.3)),
        autodual.Box(0.2, 0.8),
    ],
    ids=lambda ball: ball.describe(),
)
def test_sound_networks_show_no_sign(ball) -> None:
    assert signs(sound(), ball, attack=Pgd(20)) == {}


def test_rounded_inputs_have_no_gradient() -> None:
    found = signs(Before(lambda x: (4 * x).round() / 4))
    assert {"zero-gradients", "random-stronger", "black-box-stronger", "resists-everything"} <= set(found)
    assert found["zero-gradients"].figure == 1
    assert "100 %" in found["zero-gradients"].text


def test_thermometers_have_no_gradient() -> None:
    levels = torch.linspace(0.1, 0.9, 5)
    network = Before(lambda x: (x[..., None] > levels).float().mean(-1))
    found = signs(network)
    assert found["zero-gradients"].figure == 1
    assert found["resists-everything"].figure == 1


def test_saturated_units_have_no_gradient() -> None:
    """The sigmoid's derivative underflows in float32."""
    found = signs(Before(lambda x: torch.sigmoid(2000 * (x - 0.5))), autodual.LinfBall(0.3, domain=(0, 1)))
    assert 0.5 < found["zero-gradients"].figure <= 1
    assert "black-box-stronger" in found


def test_nan_gradients_count_as_zero() -> None:
    found = signs(Before(lambda x: x + 0 * (x - x).sqrt()))
    assert found["zero-gradients"].figure == 1


def test_large_scores_saturate_cross_entropy_and_the_attack_on_it() -> None:
    network = sound()

    def large(z: Tensor) -> Tensor:
        return 1e5 * network(z)

    found = signs(large, attack=Pgd(20, objective="cross-entropy"))
    assert found["saturated-loss"].figure > 0.9
    assert {"single-step-stronger", "black-box-stronger"} <= set(found)
    # Only cross-entropy is at fault: an attack on the margin leaves only the warning about saturation.
    assert set(signs(large, attack=Pgd(20))) == {"saturated-loss"}
    # Ten times the scores of the network itself do not saturate.
    assert signs(lambda z: 1e-4 * large(z), attack=Pgd(20, objective="cross-entropy")) == {}


def test_a_trap_around_samples_makes_one_step_stronger_than_many() -> None:
    found = signs(trap, autodual.LinfBall(1.0), NEAR_ZERO, Pgd(20))
    assert found["single-step-stronger"].figure == 1
    assert {"random-stronger", "black-box-stronger"} <= set(found)


def test_a_single_step_is_compared_with_many() -> None:
    found = signs(valley, autodual.LinfBall(1.0), NEAR_ZERO, Fgsm())
    assert found["not-converged"].figure == 1
    assert signs(valley, autodual.LinfBall(1.0), NEAR_ZERO, Pgd(20)) == {}


def test_random_networks_are_reported() -> None:
    network = nn.Sequential(nn.Linear(16, 32), nn.Dropout(0.3), nn.Linear(32, 4)).train()
    found = signs(network)
    assert found["random-network"].figure > 0.01
    assert "batch-dependent" not in found
    assert "random-network" not in signs(network.eval())


def test_networks_that_mix_samples_are_reported() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4)).train()
    assert "batch-dependent" in signs(network)
    assert signs(network.eval()) == {}


def test_an_attack_that_stops_early_has_not_converged() -> None:
    short = Pgd(2, step_size=0.1)
    found = signs(sound(), autodual.LinfBall(0.1), attack=short)
    labels = sound()(X).argmax(1)
    region = autodual.LinfBall(0.1).at(X)
    attacks = short, Pgd(4, step_size=0.1), Apgd(20, objective="margin")
    first, longer, usual = (broken(sound(), region, labels, attack) for attack in attacks)
    assert found["not-converged"].figure == pytest.approx(float(((longer | usual) & ~first).float().mean()))


def test_figures_are_shares_of_the_correctly_classified_samples() -> None:
    network = Before(lambda x: (4 * x).round() / 4)
    labels = network(X).argmax(1)
    labels[::2] = (labels[::2] + 1) % 4  # half of the samples are wrong already
    region = BALL.at(X)
    found = {sign.name: sign.figure for sign in masking_signs(network, region, labels, Pgd(20))}
    right = region.select(torch.arange(1, 40, 2))
    alone = {sign.name: sign.figure for sign in masking_signs(network, right, labels[1::2], Pgd(20))}
    assert found == alone
    black_box = broken(network, right, labels[1::2], Square(50, keep="first-together")).float().mean()
    assert found["black-box-stronger"] == pytest.approx(float(black_box))


def test_misclassified_samples_alone_show_no_sign() -> None:
    assert masking_signs(sound(), BALL.at(X), (sound()(X).argmax(1) + 1) % 4) == ()


def test_constant_networks_need_no_counterexample() -> None:
    """No point of the domain has another class, so that an attack misses none."""
    found = signs(lambda z: torch.tensor([1.0, 0.0]) + 0 * z[:, :2])
    assert set(found) == {"zero-gradients"}


def test_signs_are_found_for_any_specification() -> None:
    region, network = BALL.at(X), sound()
    assert masking_signs(network, region, Formula("y0 < 5")) == ()
    assert masking_signs(network, region, Deviation(0.5)) == ()
    rounded = Before(lambda x: (4 * x).round() / 4)
    assert masking_signs(rounded, region, Deviation(0.5))[0].name == "zero-gradients"
    assert masking_signs(network, region, ClassMargin(network(X).argmax(1))) == ()


def test_cost_is_bounded() -> None:
    network, seen = sound(), []

    def counted(z: Tensor) -> Tensor:
        seen.append(len(z))
        return network(z)

    assert signs(counted, samples=20) == {}
    assert max(seen[1:]) <= 20
    assert sum(seen[1:]) <= 200 * 20


def test_double_precision_and_the_standard_attack() -> None:
    network, x = sound().double(), X.double()
    assert signs(network, x=x, attack=Standard(5, 20), samples=20) == {}


def test_the_network_and_the_random_numbers_of_torch_stay_as_they_are() -> None:
    network, state = sound().train(), torch.get_rng_state()
    signs(network)
    assert network.training
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_fewer_than_one_sample_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="one sample or more"):
        masking_signs(sound(), BALL.at(X), sound()(X).argmax(1), samples=0)
