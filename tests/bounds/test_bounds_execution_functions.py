"""Execution errors of functions of several ops: run by PyTorch, in any order of summation, and by other formulas."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.effort import effort
from support.executions import run_graph
from torch import Tensor, nn

import autodual
from autodual.bounds import Execution

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


class Applied(nn.Module):
    """A module, or a function of x and of that module, behind a linear layer that gives the shape it takes."""

    def __init__(self, shape: tuple[int, ...], inner: nn.Module, function: Callable[..., Tensor] | None = None):
        super().__init__()
        self.first, self.shape = nn.Linear(6, torch.Size(shape).numel()), shape
        self.inner, self.function = inner, function

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).unflatten(1, self.shape)
        x = self.inner(x) if self.function is None else self.function(self.inner, x)
        return x.flatten(1)[:, :3]


def _attention(inner: nn.MultiheadAttention, x: Tensor) -> Tensor:
    return inner(x, x, x, need_weights=False)[0]


def _masked(inner: nn.Module, x: Tensor) -> Tensor:
    mask = torch.tensor([[0.0, -torch.inf, -3.0], [1.0, 0.0, -torch.inf], [0.5, 0.0, -1e4]]).to(x)
    return nn.functional.scaled_dot_product_attention(2 * x, x, x, attn_mask=mask)


def _randomised(layer: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape))
    return layer


FUNCTIONS: dict[str, Callable[[], nn.Module]] = {
    "softmax": lambda: Applied((5,), nn.Softmax(1)),
    "layer norm": lambda: Applied((8,), _randomised(nn.LayerNorm(8))),
    "group norm": lambda: Applied((4, 3), _randomised(nn.GroupNorm(2, 4))),
    "rms norm": lambda: Applied((8,), _randomised(nn.RMSNorm(8, eps=1e-2))),
    "deviation": lambda: Applied((3, 5), nn.Identity(), lambda _, x: x.std(2)),
    "attention": lambda: Applied((4, 6), nn.MultiheadAttention(6, 2, batch_first=True), _attention),
    "masked attention": lambda: Applied((3, 4), nn.Identity(), _masked),
    "gru": lambda: Applied((2, 4), nn.GRU(4, 3, batch_first=True), lambda m, x: m(x)[0][:, -1]),
    "lstm": lambda: Applied((2, 4), nn.LSTM(4, 3, batch_first=True), lambda m, x: m(x)[0][:, -1]),
    "gates": lambda: Applied((6,), nn.GLU()),
    "quotient": lambda: Applied((6,), nn.Identity(), lambda _, x: x[:, :3] / (1 + x[:, 3:] ** 2)),
    "cosine": lambda: Applied((2, 4, 3), nn.Identity(), lambda _, x: nn.functional.cosine_similarity(x[:, 0], x[:, 1])),
    "bilinear": lambda: Applied((6,), nn.Bilinear(3, 3, 3), lambda m, x: m(x[:, :3], x[:, 3:])),
    "upsampling": lambda: Applied((1, 3, 2), nn.Upsample(scale_factor=2.5, mode="bilinear")),
    "bicubic": lambda: Applied((1, 3, 2), nn.Upsample(scale_factor=2, mode="bicubic")),
    "nearest": lambda: Applied((1, 6), nn.Upsample(size=9, mode="nearest")),
    "weight norm": lambda: Applied((6,), nn.utils.parametrizations.weight_norm(nn.Linear(6, 3))),
    "remainder": lambda: Applied((3,), nn.Identity(), lambda _, x: torch.remainder(x + 0.25, 4.0)),
}


X = torch.rand(2, 6, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module", params=FUNCTIONS)
def dual(request: pytest.FixtureRequest) -> autodual.DualNetwork:
    """Traced once for all dtypes: the dual reads the parameters that the model has when it is called."""
    torch.manual_seed(0)
    return autodual.compile_dual(FUNCTIONS[request.param]().eval(), X)


def _execution(dual: autodual.DualNetwork, x: Tensor, radius: float) -> Execution:
    with torch.no_grad():
        found = dual(x, autodual.LinfBall(radius), torch.eye(3).to(x), rigorous=True, executed=True).execution
    assert found is not None
    return found


@pytest.mark.parametrize("dtype", DTYPES)
def test_kernels_and_runs_in_any_order_stay_within_the_error(dual: autodual.DualNetwork, dtype: torch.dtype) -> None:
    """From float32 to bfloat16; each dtype rounds the parameters that the one before has left."""
    model, x = dual.model.to(dtype), X.to(dtype)
    exact = copy.deepcopy(model).double()
    found = _execution(dual, x.double(), 0.02)
    assert found.dtype == dtype and found.error is not None
    generator = torch.Generator().manual_seed(1)
    inside = autodual.LinfBall(0.015).at(x.double()).sample(12).flatten(0, 1)
    points = inside.to(dtype)
    with torch.no_grad():
        values = exact(points.double())
        runs = [model(points), *(run_graph(dual, points, generator) for _ in range(2))]
    for run in runs:
        off = (run.double() - values).abs().reshape(12, 2, 3).amax(0)
        assert bool((off <= found.error).all())
    if dtype == torch.float32:
        assert bool((found.error < 1e-3).all()) and not found.reason


def _one_pass(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A layer norm as ONNX Runtime computes it, with the variance in one pass."""
    mean = x.mean(1, keepdim=True)
    return (x - mean) / ((x * x).mean(1, keepdim=True) - mean * mean + 1e-5).sqrt() * weight + bias


def _folded(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """As kernels of group norms do: a factor and an offset for each entry, from running means."""
    mean, squares = x[:, :1] * 0, x[:, :1] * 0
    for count in range(x.shape[1]):
        step = x[:, count : count + 1] - mean
        mean = mean + step / (count + 1)
        squares = squares + step * (x[:, count : count + 1] - mean)
    scale = (squares / x.shape[1] + 1e-5).rsqrt() * weight
    return x * scale + (bias - mean * scale)


@pytest.mark.parametrize("formula", [_one_pass, _folded])
@effort(10)
@given(seed=st.integers(0, 2**31), offset=st.sampled_from([0.0, 3.0, -40.0]), spread=st.sampled_from([0.3, 2.0]))
def test_other_formulas_of_layer_norms(formula: Callable[..., Tensor], seed: int, offset: float, spread: float) -> None:
    """The variance of numbers far from zero loses digits in one pass, though the graph computes it in two."""
    generator = torch.Generator().manual_seed(seed)
    layer = nn.LayerNorm(7)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(7, generator=generator))
    x = offset + spread * torch.randn(16, 7, generator=generator)
    dual = autodual.compile_dual(layer, x)
    with torch.no_grad():
        found = dual(x, autodual.LinfBall(0.0), torch.ones(1, 7), rigorous=True, executed=True).execution
        off = (formula(x, layer.weight, layer.bias).double() - copy.deepcopy(layer).double()(x.double())).abs()
    assert found is not None and found.error is not None
    assert bool((off <= found.error).all())


def test_the_bias_may_come_first_in_a_sum_of_several_ops() -> None:
    """x @ W and then a large bias, as a library that starts its sum with the bias computes them."""

    class Product(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.rand(1, 64, generator=torch.Generator().manual_seed(0)))
            self.bias = nn.Parameter(torch.tensor([4096.3]))

        def forward(self, x: Tensor) -> Tensor:
            return torch.addmm(self.bias, x, self.weight.T, alpha=1.0, beta=2.0)

    model, x = Product(), torch.rand(50, 64, generator=torch.Generator().manual_seed(1))
    total = (2 * model.bias).expand(50).detach()
    for place in range(64):
        total = total + x[:, place] * model.weight.detach()[0, place]
    exact = copy.deepcopy(model).double()(x.double())[:, 0].detach()
    with torch.no_grad():
        found = autodual.compile_dual(model)(
            x, autodual.LinfBall(0.0), torch.ones(1, 1), rigorous=True, executed=True
        ).execution
    assert found is not None and found.error is not None
    off = (total.double() - exact).abs()
    assert bool((off <= found.error[:, 0]).all()) and float(off.max()) > 1e-4


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: 1 / (x - 1), "a denominator may be zero"),
        (lambda x: (x - 1).log(), "the operand of 'log' may leave its domain"),
        (lambda x: (x - 1).sqrt(), "the operand of a root may be negative"),
        (lambda x: (x * 1e18) * (x.relu() * 1e17) * 9, "a number may be larger than float32 can hold"),
    ],
)
def test_an_infinite_error_gives_its_reason(function: Callable[[Tensor], Tensor], reason: str) -> None:
    """The reason holds for the set around one sample: the other sample has a finite error."""
    x = torch.tensor([[90.0] * 3, [2.0] * 3]) if "hold" in reason else torch.tensor([[1.0000001] * 3, [2.0] * 3])
    model = Applied((3,), nn.Identity(), lambda _, y: function(y))
    with torch.no_grad():
        model.first = nn.Linear(3, 3)
        model.first.weight.copy_(torch.eye(3)), model.first.bias.zero_()
    dual = autodual.compile_dual(model, x + 1)
    found = _execution(dual, x, 0.0)
    assert found.error is not None and found.reason == reason
    assert bool(found.error[0].isinf().all()) and bool(found.error[1].isfinite().all())


def test_long_sums_in_bfloat16_have_a_bound() -> None:
    """For 1000 terms nu > 1, so that γ_n = nu/(1 - nu) does not apply; n·u holds for a sum of any length."""
    model = nn.Sequential(nn.Linear(1000, 3)).bfloat16()
    x = torch.rand(2, 1000)
    found = _execution(autodual.compile_dual(model), x, 0.0)
    assert found.error is not None and bool(found.error.isfinite().all())


def test_a_network_in_two_narrow_dtypes_has_the_limits_of_both() -> None:
    """bfloat16 has fewer digits, float16 overflows first."""

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(6, 4).to(torch.float16), nn.Linear(4, 3).to(torch.bfloat16)

        def forward(self, x: Tensor) -> Tensor:
            return self.last((100 * self.first(x)).to(torch.float32).to(torch.bfloat16))

    torch.manual_seed(0)
    model = Mixed()
    exact = copy.deepcopy(model).double()
    x = torch.rand(4, 6).half()
    dual = autodual.compile_dual(model, x)
    found = _execution(dual, x.double(), 0.0)
    assert found.dtype == torch.bfloat16 and found.error is not None and bool(found.error.isfinite().all())
    with torch.no_grad():
        first = exact.first(x.double())
        assert bool(((model(x).double() - exact.last(100 * first)).abs() <= found.error).all())
    assert bool(_execution(dual, 3e3 * x.double(), 0.0).error.isinf().all()), "the values overflow float16"
