"""Recomputation in the backward pass, which saves memory, gives the same bounds and gradients as stored tensors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from support.effort import effort
from support.networks import pipeline
from support.random_networks import RandomNetwork, networks
from support.random_sets import Subject, subjects
from torch import Tensor, nn

import autodual
from autodual.bounds.memory import recomputation
from autodual.bounds.rows import objective_rows, unit_rows, whole_groups
from autodual.network import DualNetwork
from autodual.network import chunks as sample_chunks
from autodual.policies import SlopePolicy


def _with_gradients(dual: DualNetwork, subject: Subject, slopes: SlopePolicy) -> list[Tensor]:
    """Lower bounds, then the gradients with respect to parameters and samples."""
    dual.zero_grad()
    x = subject.x.clone().requires_grad_()
    lower = dual.lower_bounds(x, subject.ball, torch.eye(3, dtype=x.dtype), slopes=slopes)
    parameters = [*dual.parameters(), x]
    gradients = torch.autograd.grad(lower.square().sum(), parameters, allow_unused=True)
    return [lower.detach(), *(torch.zeros(()) if found is None else found for found in gradients)]


def _assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        scale = 1 + float(theirs.abs().max())
        torch.testing.assert_close(ours, theirs, atol=1e-10 * scale, rtol=1e-10)


@pytest.mark.parametrize("slopes", ["shared", "adaptive"])
@effort(15)
@given(st.data(), networks())
def test_bounds_and_gradients_do_not_depend_on_the_budget(
    slopes: SlopePolicy, data: st.DataObject, model: RandomNetwork
) -> None:
    """A budget of barely one row makes everything be recomputed; `at_once=1` makes the pieces as small as possible."""
    subject = data.draw(subjects(model.shape))
    expected = _with_gradients(model.dual(), subject, slopes)
    assume(all(bool(part.isfinite().all()) for part in expected))
    for budget in (3_000, 30_000, 300_000):
        dual = model.dual(pipeline(memory_budget=budget, at_once=1 if budget == 3_000 else 5))
        _assert_same(_with_gradients(dual, subject, slopes), expected)


def test_samples_and_rows_are_both_recomputed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the test above would not test recomputation."""
    calls: dict[str, int] = {"samples": 0, "units": 0, "groups": 0, "objective": 0}

    def counting(name: str, original):  # type: ignore[no-untyped-def]
        def counted(*arguments):  # type: ignore[no-untyped-def]
            calls[name] += 1
            return original(*arguments)

        return counted

    monkeypatch.setattr(sample_chunks, "recomputed", counting("samples", recomputation.recomputed))
    monkeypatch.setattr(unit_rows, "recomputed_rows", counting("units", recomputation.recomputed_rows))
    monkeypatch.setattr(whole_groups, "recomputed_rows", counting("groups", recomputation.recomputed_rows))
    monkeypatch.setattr(objective_rows, "recomputed_rows", counting("objective", recomputation.recomputed_rows))
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 3)]
    model = nn.Sequential(*layers).double()
    x, y, ball = torch.rand(6, 1, 6, 6).double(), torch.arange(6) % 3, autodual.LinfBall(0.3)

    def gradients(slopes: SlopePolicy, **options: int) -> list[Tensor]:
        dual = autodual.compile_dual(model, x, passes=pipeline(**options))
        loss = autodual.robust_loss(dual, x, y, ball, slopes=slopes)
        return [loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))]

    expected, parallel = gradients("adaptive"), gradients("shared")
    assert not any(calls.values())
    _assert_same(gradients("adaptive", memory_budget=250_000), expected)
    _assert_same(gradients("adaptive", memory_budget=250_000, at_once=3), expected)
    _assert_same(gradients("shared", memory_budget=250_000), parallel)
    assert all(calls.values()), calls


def test_gradients_with_respect_to_all_inputs_of_a_call() -> None:
    """With respect to the radius, the objective, a substituted weight and a parameter of the model."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 12), nn.ReLU(), nn.Linear(12, 12), nn.LeakyReLU(0.1), nn.Linear(12, 3)).double()
    x = torch.rand(5, 4).double()
    found = []
    for budget in (1 << 30, 60_000):
        radius = torch.full((5,), 0.1).double().requires_grad_()
        weight = (model[2].weight * 1.1).detach().requires_grad_()
        rows = torch.eye(3).double().requires_grad_()
        dual = autodual.compile_dual(model, x, passes=pipeline(memory_budget=budget))
        with dual.substituting({"2.weight": weight}):
            lower, coefficients, offset = dual.lower_bounds(x, autodual.LinfBall(radius), rows, return_linear=True)
        value = lower.square().sum() + coefficients.square().sum() + offset.sum()
        found.append([value.detach(), *torch.autograd.grad(value, [radius, weight, rows, model[0].weight])])
    _assert_same(found[1], found[0])
