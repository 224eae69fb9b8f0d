"""Runs of a network that are recorded and replayed: attacks find the same bits, and what may change is run anew."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

from autodual.attacks import Apgd, Attack, CrossEntropy, Pgd, replayed_runs
from autodual.attacks.ascent import evaluate
from autodual.attacks.known_modules import known
from autodual.attacks.problem import Problem
from autodual.perturbations import L2Ball, LinfBall
from autodual.specs import ClassMargin

MODELS = {
    "affine": lambda: nn.Sequential(nn.Flatten(), nn.Linear(36, 12), nn.ReLU(), nn.Linear(12, 4)),
    "few channels": lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 4)),
    "pooled": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.GELU(), nn.MaxPool2d(2), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(36, 4), nn.Softmax(1),
    ),
}  # fmt: skip


class Own(nn.Module):
    """A user's module, which may read anything."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)[:, :4]


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[name]().eval()


def found(model: nn.Module, attack: Attack, count: int = 5) -> Tensor:
    x = torch.rand(count, 1, 6, 6, generator=torch.Generator().manual_seed(1), dtype=next(model.parameters()).dtype)
    ball = L2Ball(0.8, (0, 1)) if isinstance(attack, Apgd) else LinfBall(0.1, (0, 1))
    with torch.no_grad():
        labels = model(x).argmax(1)
    return attack.run(model, ball.at(x), ClassMargin(labels))


@contextmanager
def usual() -> Iterator[None]:
    with mock.patch.object(replayed_runs, "known", lambda function: None):
        yield


def kinds(model: nn.Module) -> list[replayed_runs.Kind]:
    return [kind for kind in replayed_runs.KINDS.get(model, {}).values() if kind.tried and kind.useful]


@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("attack", [Pgd(8), Pgd(8, objective="cross-entropy", keep="first"), Apgd(12, 2, "dlr")])
@pytest.mark.parametrize("name", MODELS)
def test_attacks_find_the_same_bits(name: str, attack: Attack, count: int) -> None:
    model = network(name)
    with usual():
        expected = found(model, attack, count)
    for _ in range(2):
        assert torch.equal(found(model, attack, count), expected)
    assert kinds(model)


def test_one_recording_serves_every_batch_size() -> None:
    model, attack = network("few channels"), Pgd(5)
    for count in (6, 4, 9, 2):
        with usual():
            expected = found(model, attack, count)
        assert torch.equal(found(model, attack, count), expected)
    assert len(kinds(model)) == 1
    found(model, attack, 1)  # one sample alone is a kind of its own
    assert len(kinds(model)) == 2


def test_weights_are_read_as_they_are() -> None:
    model, attack = network("affine"), Pgd(5)
    before = [found(model, attack) for _ in range(2)][-1]
    with torch.no_grad():
        model[1].weight.mul_(-0.5)
    model[3].weight = nn.Parameter(torch.randn(4, 12))
    after = found(model, attack)
    with usual():
        assert torch.equal(after, found(model, attack))
    assert not torch.equal(after, before) and len(kinds(model)) == 1


def test_gradients_of_two_runs_share_no_memory() -> None:
    model = network("affine")
    x, goal = torch.rand(3, 1, 6, 6), ClassMargin(torch.tensor([0, 1, 2]))
    problem, given = Problem.of(model, LinfBall(0.1).at(x), goal), []
    with torch.no_grad():
        for _ in range(4):
            evaluate(problem, CrossEntropy(), x)
        for points in (x, x + 0.1, x + 0.2):
            given.append((points, *evaluate(problem, CrossEntropy(), points)))
        assert kinds(model)
        with usual():
            anew = Problem.of(model, LinfBall(0.1).at(x), goal)
            for points, *values in given:
                assert all(map(torch.equal, values, evaluate(anew, CrossEntropy(), points)))


def hooked() -> nn.Module:
    model = network("affine")
    model[1].register_forward_hook(lambda module, inputs, outputs: outputs * 2)
    return model


def overridden() -> nn.Module:
    model = network("affine")
    model[2].forward = torch.sigmoid  # type: ignore[method-assign]
    return model


def sparse() -> nn.Module:
    model = network("affine")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls such tensors beta
        model[1].weight = nn.Parameter(model[1].weight.detach().to_sparse_csr(), requires_grad=False)
    return model


@pytest.mark.parametrize("make", [hooked, overridden, sparse, Own, lambda: nn.Sequential(Own()), lambda: torch.sigmoid])
def test_what_may_change_is_not_known(make) -> None:
    with torch.no_grad():
        assert known(network("affine")) is not None
        assert known(make()) is None
    assert known(network("affine")) is None  # gradients are wanted


def test_what_watches_all_modules_or_operations_sees_every_run() -> None:
    model = network("affine")
    with torch.no_grad():
        with torch.autocast("cpu"):
            assert known(model) is None
        with torch.autograd.set_detect_anomaly(True):
            assert known(model) is None
        handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
        try:
            assert known(model) is None
        finally:
            handle.remove()


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.BatchNorm1d(36)])
def test_randomness_and_statistics_in_training_mode_are_not_replayed(layer: nn.Module) -> None:
    model, attack = nn.Sequential(nn.Flatten(), layer, nn.Linear(36, 4)).train(), Pgd(6)
    runs = []
    for replayed in (False, True):
        torch.manual_seed(0)
        state = {name: value.clone() for name, value in model.state_dict().items()}
        if replayed:
            points = found(model, attack)
        else:
            with usual():
                points = found(model, attack)
        runs.append((points, {name: value.clone() for name, value in model.state_dict().items()}))
        model.load_state_dict(state)
    assert not kinds(model)
    assert all(kind.program is None for kind in replayed_runs.KINDS[model].values())


def test_an_attack_gives_autograd_no_slopes(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch would load a computer algebra system to check their shapes."""
    asked, grad = [], torch.autograd.grad
    monkeypatch.setattr(
        torch.autograd, "grad", lambda *given, **kept: asked.append((given, kept)) or grad(*given, **kept)
    )
    behind = nn.Sequential(nn.BatchNorm2d(1), network("few channels")).eval()
    for model in (network("affine"), network("few channels"), behind):
        with usual():
            found(model, Pgd(2))
    assert len(asked) == 8 and all(len(given) == 2 and "grad_outputs" not in options for given, options in asked)
