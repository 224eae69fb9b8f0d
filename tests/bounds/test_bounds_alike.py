"""A radius shared by all samples is propagated once, with the bounds and gradients of one radius per sample."""

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

import autodual
from autodual.interval import Interval
from autodual.tensors import all_finite, shared


class TwoPaths(nn.Module):
    """Flips, shifts, pads, pools and concatenates before the first nonlinearity."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 3, 3, padding=1), nn.AvgPool2d(3, 1, 1)
        self.last = nn.Sequential(nn.ReLU(), nn.Flatten(), nn.Linear(5 * 36, 4))

    def forward(self, x):
        moved = nn.functional.pad(x.flip(-1)[..., 1:], (0, 1))
        return self.last(torch.cat([self.first(moved), self.second(x)], 1))


NETWORKS = {
    "normalised": lambda: nn.Sequential(
        nn.BatchNorm2d(2), nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 4)
    ),
    "flattened": lambda: nn.Sequential(nn.Flatten(), nn.Linear(72, 9), nn.Linear(9, 7), nn.ReLU(), nn.Linear(7, 4)),
    "transposed": lambda: nn.Sequential(nn.ConvTranspose2d(2, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 4)),
    "two paths": TwoPaths,
}
WAYS = {"interval": {"inner": "interval", "last": "interval"}, "mixed": {"inner": "interval"}, "dual": {}}


def bounds_and_gradients(model, x, ball, labels, way):
    model.zero_grad()
    dual = autodual.compile_dual(model, x[:1])
    objective = torch.eye(4, dtype=x.dtype)[labels].unsqueeze(1) - torch.eye(4, dtype=x.dtype)
    result = dual(x, ball, objective, sites=True, **way)
    result.lower.sum().backward()
    ends = [end for interval in result.intervals.values() for end in (interval.lower, interval.upper)]
    return [result.lower, *ends, *(value.grad for value in model.parameters() if value.grad is not None)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NETWORKS)
def test_one_radius_and_the_same_for_every_sample_give_equal_bounds(name, way):
    torch.manual_seed(0)
    model = NETWORKS[name]().double().eval()
    x, labels = torch.rand(5, 2, 6, 6, dtype=torch.float64), torch.arange(5) % 4
    each = torch.full((5,), 0.07, dtype=torch.float64)
    once = bounds_and_gradients(model, x, autodual.LinfBall(0.07), labels, WAYS[way])
    five = bounds_and_gradients(model, x, autodual.LinfBall(each), labels, WAYS[way])
    for first, second in zip(once, five, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-11, atol=1e-11)


class Convolutions(TorchFunctionMode):
    """Records the batch size of each convolution."""

    def __init__(self):
        super().__init__()
        self.samples = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is nn.functional.conv2d:
            self.samples.append(args[0].shape[0])
        return function(*args, **(kwargs or {}))


def test_the_first_convolution_sees_one_radius():
    model = NETWORKS["normalised"]().double().eval()
    x = torch.rand(5, 2, 6, 6, dtype=torch.float64)
    dual = autodual.compile_dual(model, x[:1])
    with Convolutions() as seen:
        dual(x, autodual.LinfBall(0.07), torch.eye(4, dtype=x.dtype), inner="interval", last="interval")
    # Centre and radius of each convolution; behind a ReLU every sample has its own radius.
    assert seen.samples == [5, 1, 5, 5]


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_balls_of_other_norms_have_a_shared_radius(p):
    x = torch.rand(4, 3)
    enclosure = autodual.LpBall(p, 0.2).at(x).enclosure()
    assert enclosure.alike
    torch.testing.assert_close(enclosure.radius, torch.full((4, 3), 0.2))
    assert not autodual.LpBall(p, torch.full((4,), 0.2)).at(x).enclosure().alike


def test_intervals_know_whether_their_radius_is_shared():
    centre, radius = torch.rand(3, 2), torch.rand(1, 2)
    kept = Interval.around(centre, radius)
    assert kept.alike
    assert torch.equal(kept.centre, centre) and torch.equal(kept.radius, radius.expand(3, 2))
    assert shared(kept.radius).shape == (1, 2)
    assert not Interval.around(centre, radius.repeat(3, 1)).alike
    assert not kept.widen(0.1).alike
    assert Interval.around(centre, torch.tensor(0.5)).alike and not Interval.around(centre[:1], radius).alike
    torch.testing.assert_close(kept.widen(0.1).radius, radius.expand(3, 2) + 0.1)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_single_nan_or_infinity_is_found_at_any_position(value, dtype):
    for place in range(7):
        values = torch.linspace(-3, 3, 7, dtype=dtype)
        assert all_finite(values)
        values[place] = value
        assert not all_finite(values)
    assert all_finite(torch.full((3,), torch.finfo(dtype).max, dtype=dtype))


def test_empty_tensors_and_integers_are_finite():
    assert all_finite(torch.zeros(0))
    assert all_finite(torch.zeros(2, 0))
    assert all_finite(torch.arange(3))
    assert all_finite(torch.ones(3, dtype=torch.bool))
