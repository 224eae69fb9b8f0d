"""Constants computed from parameters may suffer cancellation, in float64 too; rigorous bounds hold nonetheless."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.bounds.rounding.error_factor import error_factor
from autodual.ir import Call, Environment, Parameter
from autodual.ir.constant_errors import ConstantErrors, ConstantSizes


def _norm(mean: float) -> nn.BatchNorm1d:
    """A batch norm whose shift β - γμ/σ is a small difference of numbers as large as its mean."""
    generator = torch.Generator().manual_seed(1)
    layer = nn.BatchNorm1d(4).double().eval()
    with torch.no_grad():
        layer.running_mean.fill_(mean)
        layer.running_var.copy_(torch.rand(4, generator=generator) + 0.3)
        layer.weight.copy_(torch.rand(4, generator=generator) + 0.5)
        layer.bias.copy_(layer.weight * mean / (layer.running_var + layer.eps).sqrt())
    return layer


def _exactly(layer: nn.BatchNorm1d, values: Tensor) -> list[list[Decimal]]:
    """Its outputs for `[N, 4]`, with sixty digits."""
    rows = []
    with localcontext() as context:
        context.prec = 60
        parts = (values, *(part.expand_as(values) for part in (layer.running_mean, layer.running_var)))
        parts += tuple(part.detach().expand_as(values) for part in (layer.weight, layer.bias))
        for row in torch.stack(parts, -1).tolist():
            numbers = [[Decimal(number) for number in entry] for entry in row]
            rows.append([(x - m) / (v + Decimal(layer.eps)).sqrt() * w + b for x, m, v, w, b in numbers])
    return rows


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize("mean", [1e3, 1e6, 1e9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shifts_that_cancel(dtype: torch.dtype, mean: float, folded: bool) -> None:
    norm, before = _norm(mean), nn.Linear(4, 4).double()
    with torch.no_grad():
        before.weight.copy_(torch.eye(4))
        before.bias.zero_()
    model = nn.Sequential(before, norm) if folded else nn.Sequential(norm)
    x = torch.rand(3, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    rows = torch.cat([torch.eye(4), -torch.eye(4)]).to(dtype)
    dual = autodual.compile_dual(model, x[:1].double())
    found = dual(x, autodual.LinfBall(0.0), rows, rigorous=True).lower.tolist()
    for bounds, values in zip(found, _exactly(norm, x.double()), strict=True):
        for place, value in enumerate(values):
            assert Decimal(bounds[place]) <= value <= -Decimal(bounds[place + 4])
            assert -bounds[place + 4] - bounds[place] < 1e-3, "the bounds are not vacuous"


def test_sizes_include_errors_and_whole_numbers_have_none() -> None:
    values = {"w": torch.tensor([1.0, -3.0]), "mask": torch.tensor([-2, 0]), "v": torch.tensor(2.0)}
    device, share = torch.device("cpu"), 1 / error_factor(4, torch.float64)
    environment = Environment(values.__getitem__, torch.float64, device)
    w, mask, v = (Parameter(name) for name in values)
    product = Call(torch.mul, (Call(torch.mul, (w, mask)), Call(torch.rsqrt, (v,))))
    errors = ConstantErrors(values.__getitem__, torch.float64, device, torch.float64)(product)
    sizes = ConstantSizes(environment, torch.float64, share)(product)
    assert bool((errors >= 0).all()) and bool((errors <= 1e-14 * environment(product).abs() + 1e-300).all())
    assert bool((sizes >= environment(product).abs() + 0.999 * share * errors).all()) and float(sizes[1]) < 1e-280


def test_slopes_of_leaky_units_that_cancel() -> None:
    """1e8 + a - 1e8 in float64: the slope has lost half of its digits, and with it what the unit returns."""

    class Cancelling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.large = nn.Parameter(torch.full((3,), 1e8, dtype=torch.float64))
            self.small = nn.Parameter(torch.tensor([0.1, 0.3, 0.7], dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.prelu(x, (self.large + self.small) - self.large)

    x = -torch.tensor([[3.0, 5.0, 7.0]], dtype=torch.float64)
    dual, rows = autodual.compile_dual(Cancelling(), x), torch.cat([torch.eye(3), -torch.eye(3)]).double()
    for slopes in ("shared", "adaptive"):
        bounds = dual(x, autodual.LinfBall(0.0), rows, slopes=slopes, rigorous=True).lower[0].tolist()
        for place, (number, slope) in enumerate(zip(x[0].tolist(), [0.1, 0.3, 0.7])):
            exact = Decimal(number) * Decimal(slope)
            assert Decimal(bounds[place]) <= exact <= -Decimal(bounds[place + 3])
            assert -bounds[place + 3] - bounds[place] < 1e-4
