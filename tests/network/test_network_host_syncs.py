"""On a GPU a call waits for the device a fixed number of times, whatever the number of samples."""

from __future__ import annotations

import pytest
import torch
from support.pretended_device import OnDevice, move_, pretended_device
from torch import nn

import autodual
from autodual.measured import measured
from autodual.passes import ChooseExecution, default_pipeline

BALL = autodual.LinfBall(0.1)
INTERVALS = {"inner": "interval", "last": "interval"}


def _dense() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))


def _deep() -> nn.Module:
    layers = [part for _ in range(4) for part in (nn.Linear(16, 16), nn.ReLU())]
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), *layers, nn.Linear(16, 4))


def _convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (2, 2, 2)),
        *(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4)),
    )


def _curved() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 4))


def _waits(net: nn.Module, layout: str, options: dict) -> tuple[int, int]:
    """How often a bound waits for the device, and how many bound sites need rows."""
    x, rows = torch.rand(8, 8), torch.eye(4)
    dual = autodual.compile_dual(net, x[:1], passes=[*default_pipeline(), ChooseExecution(layout=layout)])
    expected = dual.lower_bounds(x, BALL, rows, **options)
    with pretended_device() as syncs:
        move_(net)
        found = dual.lower_bounds(OnDevice(x), BALL, OnDevice(rows), **options)
    torch.testing.assert_close(found.numbers, expected.detach())
    return syncs.count, len(dual.plan.bound_sites.names) - 1  # the first site needs no rows


@pytest.mark.parametrize("build", [_dense, _deep, _convolutional])
@pytest.mark.parametrize("options", [{"slopes": "shared"}, {"slopes": "adaptive"}])
def test_rows_of_undecided_units_wait_at_most_twice_a_site(build, options):
    torch.manual_seed(0)
    waits, sites = _waits(build().eval(), "sparse", options)
    assert 1 + sites <= waits <= 1 + 2 * sites


@pytest.mark.parametrize("build", [_dense, _deep, _convolutional, _curved])
@pytest.mark.parametrize("options", [INTERVALS, {"slopes": "shared"}, {"slopes": "adaptive"}])
@pytest.mark.parametrize("layout", ["auto", "dense"])
def test_bounds_wait_once(build, options, layout):
    torch.manual_seed(0)
    assert _waits(build().eval(), layout, options)[0] <= 1


def test_the_cost_model_knows_the_device(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(measured, "work_of_a_wait", 0)  # as if rows of all units were too much work
    waits, sites = _waits(_dense().eval(), "auto", {"slopes": "shared"})
    assert waits == 1 + sites


@pytest.mark.parametrize("count", [8, 40])
def test_certificates_wait_as_often_for_any_number_of_samples(count):
    torch.manual_seed(0)
    net, x = _dense(), torch.rand(count, 8)
    dual, labels = autodual.compile_dual(net, x[:1]), net(x).argmax(1)
    expected = autodual.certify(dual, x, BALL, labels)
    with pretended_device() as syncs:
        move_(net)
        found = autodual.certify(dual, OnDevice(x), BALL, OnDevice(labels))
    assert syncs.count <= 12, syncs
    assert [one.status for one in found] == [one.status for one in expected]
    assert [one.margin for one in found] == pytest.approx([one.margin for one in expected], abs=1e-6)


def test_a_training_step_on_intervals_waits_once():
    torch.manual_seed(0)
    net, x, rows = _dense(), torch.rand(8, 8), torch.eye(4)
    dual = autodual.compile_dual(net, x[:1])
    dual.lower_bounds(x, BALL, rows, **INTERVALS).sum().backward()
    expected = [parameter.grad for parameter in net.parameters()]
    with pretended_device() as syncs:
        move_(net)
        dual.lower_bounds(OnDevice(x), BALL, OnDevice(rows), **INTERVALS).sum().backward()
        assert syncs.count <= 1, syncs
        for parameter, gradient in zip(net.parameters(), expected, strict=True):
            torch.testing.assert_close(parameter.grad.numbers, gradient)


@pytest.mark.parametrize("broken", ["x", "rows", "radius", "empty", "label"])
def test_errors_are_told_as_on_the_cpu(broken):
    torch.manual_seed(0)
    net, x, rows, labels = _dense(), torch.rand(3, 8), torch.eye(4), torch.tensor([0, 1, 2])
    dual, radius, domain = autodual.compile_dual(net, x[:1]), torch.full((3,), 0.1), None
    if broken == "x":
        x[1, 2] = torch.nan
    elif broken == "rows":
        rows[0, 0] = torch.inf
    elif broken == "radius":
        radius = torch.full((3,), 1e300, dtype=torch.float64)
    elif broken == "empty":
        domain = (2.0, 3.0)
    else:
        labels[1] = 4

    def told(x, rows, radius, labels) -> str:
        with pytest.raises(autodual.errors.AutodualError) as caught:
            dual.lower_bounds(x, autodual.LinfBall(radius, domain), rows)
            autodual.certify(dual, x, autodual.LinfBall(radius, domain), labels)
        return str(caught.value)

    expected = told(x, rows, radius, labels)
    with pretended_device():
        move_(net)
        assert told(*(OnDevice(value) for value in (x, rows, radius, labels))) == expected


def test_tensors_of_two_devices_do_not_mix():
    with pretended_device(), pytest.raises(RuntimeError, match="same device"):
        OnDevice(torch.ones(2)) + torch.ones(2)


def test_reading_a_number_counts_as_waiting():
    with pretended_device() as syncs:
        value = OnDevice(torch.tensor([1.0, -1.0]))
        assert float((value * 2).sum()) == 0.0
        assert value[value > 0].tolist() == [1.0]
        assert (value > 0).nonzero().cpu().tolist() == [[0]]
    assert syncs.count == 1 + 2 + 2
