"""Mixed precision: steps close to float32's, a loss scale that is saved, and attack gradients that do not underflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny_training import finish, same, tiny_recipe, tiny_training
from torch import nn

from autodual.errors import InvalidInputError
from autodual.train.mixed_precision import MixedPrecision
from autodual.train.saved_state import Unfit
from autodual.train.underflow import without_underflow

CPU = torch.device("cpu")
VALUES: dict[str, Any] = {
    "precision": "float16",
    "loss": {"kind": "pgd", "steps": 2},
    "scheduled": {},
    "optimiser": {"kind": "sgd", "clip": 1.0},
    "learning_rate": 0.05,
    "validation": {"attack_steps": 0, "select": "clean"},
}


def test_a_step_in_float16_is_nearly_that_in_float32(tmp_path: Path) -> None:
    values = {**VALUES, "network": {"arch": "mlp:8"}, "loss": "clean"}
    moved = []
    for precision in ("float32", "float16"):
        training = tiny_training(tmp_path / precision, **{**values, "precision": precision})
        before = [value.detach().clone() for value in training.network.parameters()]
        training.step()
        moved.append(torch.cat([(v.detach() - b).flatten() for v, b in zip(training.network.parameters(), before)]))
    assert float((moved[0] - moved[1]).norm()) < 0.01 * float(moved[0].norm())


def test_float16_runs_in_the_attack_too_and_resumes_to_the_last_bit(tmp_path: Path) -> None:
    whole = tiny_training(tmp_path / "whole", **VALUES)
    dtypes = set()
    layer = next(module for module in whole.network.modules() if isinstance(module, nn.Conv2d))
    layer.register_forward_hook(lambda _module, _inputs, output: dtypes.add(output.dtype))
    whole.step()
    assert dtypes == {torch.float16}  # in the attack, too
    expected = finish(whole)
    assert all(value.dtype in (torch.float32, torch.int64) for value in expected.values())
    first = tiny_training(tmp_path / "parts", **VALUES)
    for step in range(7):
        first.step(stop=step == 6)
    saved = torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["scaler"]
    assert saved == first.precision.state() and saved["_growth_tracker"] > 0
    assert same(finish(tiny_training(tmp_path / "parts", resume=True, **VALUES)), expected)


@pytest.mark.parametrize(
    ("key", "bad"),
    [("scale", -1.0), ("scale", torch.inf), ("scale", "1"), ("growth_factor", 3.0), ("_growth_tracker", -1)],
)
def test_scales_that_no_run_can_have_are_refused(key: str, bad: Any) -> None:
    precision = MixedPrecision("float16", CPU)
    precision.require_state(precision.state())
    with pytest.raises(Unfit, match=f"'scaler.{key}'"):
        precision.require_state({**precision.state(), key: bad})
    with pytest.raises(Unfit, match="'scale' is missing"):
        precision.require_state({})


def test_a_step_whose_gradients_overflow_is_left_out_and_the_scale_falls() -> None:
    weight = nn.Parameter(torch.tensor([1.0]))
    optimiser, precision = torch.optim.SGD([weight], lr=0.1), MixedPrecision("float16", CPU)
    scale = precision.state()["scale"]
    for factor, expected in ((1e38, 1.0), (2.0, 0.8)):  # 1e38 times the scale is infinite
        optimiser.zero_grad()
        precision.backward((weight * factor).sum())
        precision.unscale(optimiser)
        precision.step(optimiser)
        assert float(weight.detach()) == pytest.approx(expected) and precision.state()["scale"] == scale / 2


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_other_types_scale_nothing_and_save_nothing(precision: str) -> None:
    weight = nn.Parameter(torch.tensor([3.0]))
    optimiser, arithmetic = torch.optim.SGD([weight], lr=0.5), MixedPrecision(precision, CPU)
    arithmetic.backward(weight.square().sum())
    assert float(weight.grad) == 6.0
    arithmetic.unscale(optimiser)
    arithmetic.step(optimiser)
    assert float(weight.detach()) == 0.0 and arithmetic.state() == {}


def test_gradients_of_an_attack_do_not_vanish_in_float16() -> None:
    layer = nn.Linear(3, 2, bias=False)
    nn.init.constant_(layer.weight, 0.5)
    for function, expected in ((layer, 0.0), (without_underflow(layer), 3e-9)):
        x = torch.rand(4, 3, requires_grad=True)
        with torch.autocast("cpu", torch.float16):
            gradient = torch.autograd.grad((function(x).float() * 3e-9).sum(), x)[0]
        torch.testing.assert_close(gradient, torch.full_like(gradient, expected), rtol=0.1, atol=0)
    points = torch.rand(4, 3, requires_grad=True)
    exact = torch.autograd.grad(without_underflow(layer)(points).square().sum(), points)[0]
    assert torch.equal(exact, torch.autograd.grad(layer(points).square().sum(), points)[0])


@pytest.mark.parametrize("loss", ["interval", "sabr", {"kind": "regularised", "loss": "clean"}])
def test_losses_of_bounds_are_refused_in_float16(loss: Any) -> None:
    with pytest.raises(InvalidInputError, match="'precision' float16 is for losses without bounds"):
        tiny_recipe(**{**VALUES, "loss": loss})
