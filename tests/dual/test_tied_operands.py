"""Operands that are tied to one another are found, and what is known of their values by construction bounds them."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

import autodual
from autodual.dual import Rows
from autodual.dual.norm_over_box import NormOverBox
from autodual.dual.normalization import DividedByNormRule
from autodual.dual.normalized_exp import NormalizedExpRule
from autodual.dual.tied_softmax import SoftmaxRule
from autodual.interval import Interval
from autodual.ir import Environment, ops
from autodual.ir.expressions import Parameter
from autodual.passes import default_pipeline


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.before, self.function = nn.Linear(6, 12).double(), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.before(x))


def _attention(x: Tensor, **options) -> Tensor:
    parts = x.reshape(-1, 3, 4)
    return functional.scaled_dot_product_attention(parts, parts.flip(1), 2 * parts, **options).flatten(1)


def _attention_by_einsum(x: Tensor) -> Tensor:
    parts = x.reshape(-1, 3, 4)
    weights = (torch.einsum("bid,bjd->bij", parts, parts.flip(1)) / 2).softmax(-1)
    return torch.einsum("bij,bjd->bid", weights, 2 * parts).flatten(1)


def _layer_norm(x: Tensor) -> Tensor:
    squares = (x - x.mean(-1, keepdim=True)) * (x - x.mean(-1, keepdim=True))
    return (x - x.mean(-1, keepdim=True)) * (1 / torch.sqrt(squares.sum(-1, keepdim=True) / 12 + 1e-5))


def _distributed(x: Tensor, times: float = 1.0, gain: Tensor | None = None) -> Tensor:
    """h · i + (1/4 − m · i), as Keras has it."""
    mean = x.mean(-1, keepdim=True)
    inverse = torch.rsqrt((x - mean).pow(2).mean(-1, keepdim=True) + 1e-5)
    inverse = inverse if gain is None else inverse * gain
    taken = mean if times == 1 else times * mean
    return x * inverse + (0.25 - taken * inverse)


def _divided_last(x: Tensor) -> Tensor:
    """Attention whose weights are divided by their sum after the product with the values."""
    parts = x.reshape(-1, 3, 4)
    raised = (parts @ parts.flip(1).transpose(1, 2) / 2).exp()
    return ((raised @ (2 * parts)) / raised.sum(-1, keepdim=True)).flatten(1)


def _by_hand(x: Tensor) -> Tensor:
    raised = torch.exp(x - x.max(-1, keepdim=True).values)
    return raised / raised.sum(-1, keepdim=True)


#: What users write, and the ops that it becomes.
WRITTEN = {
    "normalize": (lambda x: functional.normalize(x, dim=1), {"divided_by_norm"}),
    "over its norm": (lambda x: x / (x.norm(dim=-1, keepdim=True) + 1e-6), {"divided_by_norm"}),
    "over linalg.norm": (lambda x: x / torch.linalg.norm(x, dim=-1).unsqueeze(-1).clamp(min=0.1), {"divided_by_norm"}),
    "over a repeated norm": (lambda x: x / (x.norm(dim=1, keepdim=True).expand_as(x) + 0.1), {"power"}),
    "over a sum of sizes": (lambda x: functional.normalize(x, p=1, dim=1), {"divided_by_norm"}),
    "root mean square": (lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6), {"divided_by_norm"}),
    "layer norm": (lambda x: functional.layer_norm(x, (12,)), {"divided_by_norm"}),
    "layer norm by hand": (_layer_norm, {"divided_by_norm"}),
    "layer norm distributed": (_distributed, {"divided_by_norm"}),
    "layer norm distributed, with a gain": (
        lambda x: _distributed(x, gain=torch.arange(12.0).to(x) - 4),
        {"divided_by_norm"},
    ),
    "group norm": (lambda x: functional.group_norm(x.reshape(-1, 4, 3), 2).flatten(1), {"divided_by_norm"}),
    "softmax": (lambda x: x.softmax(1), {"normalized_exp"}),
    "softmax by hand": (_by_hand, {"normalized_exp"}),
    "softmax written twice": (lambda x: x.exp() / x.exp().sum(1).unsqueeze(1), {"normalized_exp"}),
    "softmax by a logarithm": (lambda x: (x - x.exp().sum(1, keepdim=True).log()).exp(), {"normalized_exp"}),
    "attention": (_attention, {"normalized_exp", "weighted_mean"}),
    "attention by einsum": (_attention_by_einsum, {"normalized_exp", "weighted_mean"}),
    "attention divided last": (_divided_last, {"normalized_exp", "weighted_mean"}),
    "a mean of constants divided last": (
        lambda x: (x.exp() @ torch.arange(144.0).to(x).reshape(12, 12).cos()) / x.exp().sum(1, keepdim=True),
        {"normalized_exp"},
    ),
    "causal attention": (lambda x: _attention(x, is_causal=True), {"softmax", "weighted_mean"}),
}


@pytest.fixture(scope="module")
def compiled() -> dict[str, tuple[nn.Module, autodual.DualNetwork]]:
    torch.manual_seed(0)
    models = {name: Function(function).eval() for name, (function, _) in WRITTEN.items()}
    x = torch.zeros(1, 6, dtype=torch.float64)
    return {name: (model, autodual.compile_dual(model, x)) for name, model in models.items()}


@pytest.mark.parametrize("name", WRITTEN)
def test_ties_are_found_in_what_users_write(name, compiled):
    kinds = {node.op.kind for node in compiled[name][1].plan.graph}
    assert WRITTEN[name][1] <= kinds
    assert not {"exp", "multiply"} & kinds or name == "over a repeated norm"


def test_what_only_looks_like_a_vector_over_its_norm_is_left() -> None:
    """Twice the mean is taken away, or another mean, or it is added."""
    torch.manual_seed(2)
    x, ball, rows = torch.randn(1, 6).double(), autodual.LinfBall(0.1), torch.randn(4, 12).double()
    for function in (
        lambda x: _distributed(x, times=2.0),
        lambda x: _distributed(x, times=-1.0),
        lambda x: (
            x * torch.rsqrt((x - x.mean(-1, keepdim=True)).pow(2).mean(-1, keepdim=True) + 0.1)
            - x[:, :6].mean(-1, keepdim=True)
            * torch.rsqrt((x - x.mean(-1, keepdim=True)).pow(2).mean(-1, keepdim=True) + 0.1)
        ),
        lambda x: (x.exp() @ torch.eye(12).to(x)) / (2 * x).exp().sum(1, keepdim=True),
    ):
        model = Function(function)
        dual = autodual.compile_dual(model, x)
        assert not {"divided_by_norm", "normalized_exp"} & {node.op.kind for node in dual.plan.graph}
        values = model(x + 0.1 * (2 * torch.rand(400, 6).double() - 1)) @ rows.T
        assert bool((values.amin(0) >= dual.lower_bounds(x, ball, rows, slopes="adaptive")[0]).all())


@pytest.mark.parametrize("name", WRITTEN)
def test_bounds_hold_at_points(name, compiled):
    model, dual = compiled[name]
    torch.manual_seed(1)
    x, rows = torch.randn(2, 6, dtype=torch.float64), torch.randn(5, 12, dtype=torch.float64)
    for radius, slopes in ((1e-3, "adaptive"), (0.1, "shared"), (0.5, "adaptive"), (5.0, "adaptive")):
        steps = torch.cat([2 * torch.rand(200, 1, 6).double() - 1, torch.randn(200, 1, 6).double().sign()])
        values = model((x + radius * steps).flatten(0, 1)) @ rows.T
        rigorous = radius in (0.5, 5.0)
        lower = dual.lower_bounds(x, autodual.LinfBall(radius), rows, slopes=slopes, rigorous=rigorous)
        assert not (lower > values.reshape(400, 2, 5).amin(0) + 1e-12).any()


@pytest.mark.parametrize("slopes", ["shared", "adaptive"])
def test_values_that_are_known_by_construction_bound_outputs(slopes, compiled):
    torch.manual_seed(2)
    x, rows = torch.randn(2, 6, dtype=torch.float64), torch.randn(5, 12, dtype=torch.float64)
    ball = autodual.LinfBall(10.0)
    for name, least in (
        ("normalize", -rows.norm(dim=1)),
        ("over a sum of sizes", -rows.abs().amax(1)),
        ("root mean square", -rows.norm(dim=1) * 12**0.5),
        ("softmax", rows.amin(1)),
        ("softmax by hand", rows.amin(1)),
    ):
        lower = compiled[name][1].lower_bounds(x, ball, rows, slopes=slopes)
        assert (lower >= least - 1e-9).all()


def test_ties_tighten_bounds():
    model, x = Function(WRITTEN["layer norm"][0]).eval(), torch.linspace(-1, 1, 6, dtype=torch.float64).unsqueeze(0)
    rows = torch.cat([torch.eye(12), -torch.eye(12)]).double()
    apart = [step for step in default_pipeline() if step.name != "tie-operands"]
    for radius in (0.01, 0.1, 1.0):
        tied, untied = (
            autodual.compile_dual(model, x, passes=passes).lower_bounds(x, autodual.LinfBall(radius), rows)
            for passes in (default_pipeline(), apart)
        )
        assert tied.mean() > untied.mean()


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("softmax", "softmax by hand"),
        ("softmax", "softmax written twice"),
        ("softmax", "softmax by a logarithm"),
        ("layer norm", "layer norm by hand"),
        ("attention", "attention by einsum"),
    ],
)
def test_a_function_has_one_bound_however_it_is_written(name, other, compiled):
    torch.manual_seed(3)
    x, rows = torch.randn(2, 6, dtype=torch.float64), torch.randn(5, 12, dtype=torch.float64)
    before = compiled[name][0].before.state_dict()
    found = []
    for model, dual in (compiled[name], compiled[other]):
        model.before.load_state_dict(before)
        found.append(dual.lower_bounds(x, autodual.LinfBall(0.3), rows))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("slopes", ["shared", "adaptive"])
def test_units_behind_a_tied_op_are_bounded_by_what_it_knows(slopes):
    """A unit that reads a softmax is a mean of its weights, however wide the inputs are."""
    torch.manual_seed(4)
    second = nn.Linear(12, 5).double()
    model = Function(lambda x: second(x.softmax(1)).relu().sum(1, keepdim=True)).eval()
    x = torch.randn(2, 6, dtype=torch.float64)
    found = autodual.compile_dual(model, x).bounds(x, autodual.LinfBall(20.0), slopes=slopes)["linear_1"]
    least, most = (end + second.bias for end in (second.weight.amin(1), second.weight.amax(1)))
    open_ = (found.lower < 0) & (found.upper > 0)
    assert bool(open_.any()) and bool(((found.lower >= least - 1e-9) | ~open_).all())
    assert bool(((found.upper <= most + 1e-9) | ~open_).all())


def test_a_norm_that_may_be_zero_bounds_nothing():
    model = Function(lambda x: x / x.norm(dim=1, keepdim=True)).eval()
    x, rows = torch.zeros(1, 6, dtype=torch.float64), torch.ones(1, 12, dtype=torch.float64)
    nn.init.zeros_(model.before.bias)
    lower = autodual.compile_dual(model, x).lower_bounds(x, autodual.LinfBall(1.0), rows)
    assert not (lower > -torch.inf).any()


def test_weights_below_zero_are_no_weights():
    factors = torch.linspace(-1, 1, 12, dtype=torch.float64)

    def with_factors(x: Tensor) -> Tensor:
        raised = factors * x.exp()
        return raised / raised.sum(-1, keepdim=True)

    plan = autodual.compile_dual(Function(with_factors).eval(), torch.zeros(1, 6, dtype=torch.float64)).plan
    assert "softmax" not in {node.op.kind for node in plan.graph}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("outside", [0.0, 1e-3])
def test_norms_of_squares_that_no_float_holds_prove_nothing_wrong(dtype, outside):
    """Squares of small numbers round to few digits or to 0, those of large ones to infinity."""
    rule, op = DividedByNormRule(), ops.DividedByNorm((0,), outside=outside)
    limits, row = torch.finfo(dtype), torch.tensor([[[1.0, 0.0]]], dtype=dtype)
    for size in (*(limits.smallest_normal**0.5 * part for part in (1e-4, 3e-4, 1.0)), limits.max**0.5 * 3):
        low = torch.tensor([[size, 0.0]], dtype=dtype)
        for high in (1.5 * low, torch.full_like(low, 1e-3).maximum(low)):
            largest = (high.double().norm(dim=1, keepdim=True) * 1.001 + outside).clamp(max=limits.max / 2)
            d = Interval(0.999 * low[:, :1] + outside, largest.to(dtype))
            x = Interval(low, high)
            found, layer = rule.range(op, [x, d], None), rule.layer(op, [x, d], None, "shared")
            for point in (low, high):
                first = float(point[0, 0])
                value = first / (math.hypot(first, float(point[0, 1])) + outside)
                assert float(found.lower[0, 0]) <= value + 1e-5 and float(found.upper[0, 0]) >= value - 1e-5
                for rows in (Rows(row, (2,)), Rows(-row, (2,))):
                    sign = float(rows.base[0, 0, 0])
                    assert not float(layer.least(rows)) > sign * value + 1e-5


def test_a_tangent_of_a_norm_at_almost_zero_lies_below_it():
    centre = 4e-23  # its square is a float32 of one digit, whose root is smaller
    x = Interval.around(torch.tensor([[centre]]), torch.tensor([[1e-3]]))
    norm = NormOverBox(
        x, Interval(torch.tensor([[1e-6]]), torch.tensor([[1.1e-3]])), ops.DividedByNorm((0,), outside=1e-6)
    )
    assert float(norm.ends(norm.below).upper) <= 1e-3 + 1.0001e-6


def test_the_norms_dual_of_a_tiny_row_is_not_zero():
    x = Interval(torch.tensor([[1.0, 1.0]]), torch.tensor([[2.0, 2.0]]))
    d = Interval(torch.tensor([[1.4]]), torch.tensor([[2.9]]))
    layer = DividedByNormRule().layer(ops.DividedByNorm((0,)), [x, d], None, "shared")
    assert float(layer.least(Rows(torch.tensor([[[-2.6e-23, 0.0]]]), (2,)))) < -1e-23


def test_a_norm_whose_squares_overflow_is_not_taken_for_infinite():
    """An entry of either sign beside others that are not small: its own square alone is too large for a float."""
    rule, op = DividedByNormRule(), ops.DividedByNorm((0,))
    for dtype, large in ((torch.float32, 1e20), (torch.float64, 1e160)):
        x = Interval(torch.tensor([[-large, 1.0]], dtype=dtype), torch.tensor([[large, 2.0]], dtype=dtype))
        d = Interval(torch.ones(1, 1, dtype=dtype), torch.full((1, 1), 2 * large, dtype=dtype))
        found, layer = rule.range(op, [x, d], None), rule.layer(op, [x, d], None, "shared")
        assert float(found.lower[0, 0]) <= -1 and float(found.upper[0, 0]) >= 1
        rows = Rows(torch.tensor([[[1.0, 0.0], [-1.0, 0.0]]], dtype=dtype), (2,))
        assert not (layer.least(rows) > -1).any()


_LAYERS = {
    "softmax": (SoftmaxRule(), ops.Softmax(0), [(3,)]),
    "normalized_exp": (NormalizedExpRule(), ops.NormalizedExp(0), [(3,)]),
    "divided_by_norm": (DividedByNormRule(), ops.DividedByNorm((0,), inside=0.1), [(3,), (1,)]),
}


@pytest.mark.parametrize("name", _LAYERS)
@pytest.mark.parametrize("end", ["lower", "upper"])
def test_bounds_that_are_no_numbers_prove_nothing_of_any_entry(name, end):
    rule, op, shapes = _LAYERS[name]
    rows = Rows(torch.tensor([[[1.0, -1.0, 0.5], [0.0, 1.0, 0.0]]]), (3,))
    for broken, shape in enumerate(shapes):
        bounds = [Interval(torch.full((1, *one), -2.0), torch.full((1, *one), -1.0).exp()) for one in shapes]
        getattr(bounds[broken], end)[0, shape[0] - 1] = torch.nan
        layer = rule.layer(op, bounds, None, "shared")
        for found in (rule.range(op, bounds, None), layer.interval(bounds)):
            assert found.lower.isnan().all() and found.upper.isnan().all()
        assert layer.least(rows).isnan().all() and layer.objective(rows).centre.isnan().all()


def test_a_mean_without_weights_has_no_value():
    environment = Environment({"w": torch.zeros(3)}.__getitem__, torch.float32, torch.device("cpu"))
    rule, op, z = SoftmaxRule(), ops.Softmax(0, Parameter("w")), Interval(torch.zeros(1, 3), torch.ones(1, 3))
    layer = rule.layer(op, [z], environment, "shared")
    assert op.forward([z.lower], environment).isnan().all()
    for found in (rule.range(op, [z], environment), layer.interval([z])):
        assert found.lower.isnan().all() and found.upper.isnan().all()
    assert layer.least(Rows(torch.tensor([[[1.0, -1.0, 0.5]]]), (3,))).isnan().all()


@pytest.mark.parametrize("name", ["causal attention", "softmax", "layer norm"])
def test_networks_that_return_no_numbers_are_bounded_by_none(name, compiled):
    """A weight is no number any more: no entry of a softmax, between 0 and 1 by construction, is bounded either."""
    model, dual = compiled[name]
    x, ball, rows = torch.rand(1, 6).double(), autodual.LinfBall(0.1), torch.eye(12).double()
    kept = model.before.weight.detach().clone()
    try:
        with torch.no_grad():
            model.before.weight[0, 0] = torch.nan
        broken = model(x).isnan()[0]
        assert broken.any()
        for options in ({}, {"rigorous": True}, {"inner": "interval", "last": "interval"}, {"slopes": "adaptive"}):
            assert dual.lower_bounds(x, ball, rows, **options)[0][broken].isnan().all()
    finally:
        with torch.no_grad():
            model.before.weight.copy_(kept)
