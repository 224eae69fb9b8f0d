"""Certificates of the network as it runs, whose margins must exceed the rounding error of a run."""

from __future__ import annotations

import copy

import pytest
import torch
from support.executions import run_in_any_order
from torch import nn

import autodual
from autodual.certification import Status
from autodual.specs import Deviation, Formula

BALL = autodual.LinfBall(1e-7)


@pytest.fixture(scope="module")
def cancelling() -> tuple[nn.Sequential, torch.Tensor]:
    """A network whose scores are sums of terms of 1e3 and more, and a sample of class 0 with a margin of 1e-3."""
    generator = torch.Generator().manual_seed(0)
    hidden, last = nn.Linear(32, 128), nn.Linear(128, 2)
    with torch.no_grad():
        hidden.weight.copy_(torch.cat([torch.eye(32)] * 4))
        hidden.bias.fill_(1e3)
        row = 8 * torch.randn(128, generator=generator)
        last.weight.copy_(torch.stack([row - row.mean(), torch.zeros(128)]))
        last.bias.zero_()
        model, x = nn.Sequential(hidden, nn.ReLU(), last), torch.rand(1, 32, generator=generator)
        last.bias[1] = copy.deepcopy(model).double()(x.double())[0, 0] - 1e-3
    return model, x


def test_a_margin_below_the_execution_error_is_certified_in_real_arithmetic_only(cancelling) -> None:
    model, x = cancelling
    dual, label = autodual.compile_dual(model), torch.tensor([0])
    (real,) = autodual.certify(dual, x.double(), BALL, label)
    assert real.certified and 1e-4 < real.margin < 1.1e-3 and not real.deployed
    assert real.execution == "float32" and real.execution_error > real.margin
    (deployed,) = autodual.certify(dual, x.double(), BALL, label, deployed=True)
    assert deployed.status is Status.UNKNOWN and deployed.deployed and deployed.margin == real.margin
    points = BALL.at(x).sample(50).flatten(0, 1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        exact = copy.deepcopy(model).double()(points.double())
        runs = [run_in_any_order(model, points, generator) for _ in range(8)]
    assert bool((exact.argmax(1) == 0).all()), "the certificate is right"
    assert any(bool((run.argmax(1) == 1).any()) for run in runs), "but it does not hold for runs in float32"
    gap = torch.stack([(run.double() - exact).diff(dim=1).abs().max() for run in runs]).max()
    assert float(gap) <= real.execution_error


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_margins_above_the_execution_error_are_certified_for_runs_too(dtype: torch.dtype) -> None:
    """The execution error is that of the network's dtype, whatever dtype the samples have."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3)).to(dtype)
    dual, x = autodual.compile_dual(model), torch.rand(20, 4)
    plain = autodual.certify(dual, x, autodual.LinfBall(0.02))
    found = autodual.certify(dual, x, autodual.LinfBall(0.02), deployed=True)
    assert sum(one.certified for one in found) > 10
    for one, other in zip(found, plain):
        assert one.execution == str(dtype).removeprefix("torch.") and one.execution_error == other.execution_error
        assert one.certified == (other.certified and one.margin > one.execution_error)
        assert (one.execution_error < 1e-10) == (dtype == torch.float64)


def test_the_nominal_output_of_a_deviation_is_rounded_too() -> None:
    dual, x = autodual.compile_dual(nn.Sequential(nn.Linear(4, 2))), torch.rand(1, 4)
    (moved,) = autodual.certify(dual, x, autodual.LinfBall(0.1), spec=Deviation(9.0))
    (within,) = autodual.certify(dual, x, autodual.LinfBall(0.1), spec=Formula("-9 < y0 < 9 and -9 < y1 < 9"))
    assert moved.execution_error == pytest.approx(2 * within.execution_error)


def test_deployed_changes_no_other_status_than_certified(cancelling) -> None:
    """A sample of another class is misclassified, deployed or not."""
    model, x = cancelling
    (found,) = autodual.certify(autodual.compile_dual(model), x.double(), BALL, torch.tensor([1]), deployed=True)
    assert found.status is Status.MISCLASSIFIED


def test_stages_of_a_cascade_are_judged_as_they_are_run(cancelling) -> None:
    """A margin below the execution error is neither a certificate nor agreement with the stage before."""
    model, x = cancelling
    sure = nn.Sequential(nn.Linear(32, 2))
    with torch.no_grad():
        sure[0].weight.zero_(), sure[0].bias.copy_(torch.tensor([1.0, 0.0]))
    doubtful, plain = autodual.compile_dual(model), autodual.compile_dual(sure)
    cascade = autodual.Cascade([doubtful, plain])
    (real,) = autodual.certify_cascade(cascade, x.double(), BALL)
    assert real.stage == 1 and real.predicted == 0
    (run,) = autodual.certify_cascade(cascade, x.double(), BALL, deployed=True)
    assert run.abstains and run.disagreement == 1 and run.certificates[0].deployed
    (other,) = autodual.certify_cascade(autodual.Cascade([plain, doubtful]), x.double(), BALL, deployed=True)
    assert other.stage == 1 and other.certificates[0].execution_error < 1
