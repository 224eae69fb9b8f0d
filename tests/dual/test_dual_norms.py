"""Spectral norms of layers are never underestimated: compared with singular values of the layers' matrices."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.effort import effort
from support.networks import node_values
from support.random_networks import RandomNetwork, networks
from torch import Tensor, nn

import autodual
from autodual.dual import AffineLayer, spectral_norm_bound
from autodual.dual.rule import AffineRule
from autodual.dual.torus_norm import torus_norm
from autodual.dual.transpose import Geometry


@effort(40)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12), st.sampled_from([1e-30, 1e-3, 1.0, 1e20]))
def test_bounds_are_close_above_the_norm(seed: int, rows: int, columns: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    matrix = scale * torch.randn(2, rows, columns, generator=generator, dtype=torch.float64)
    exact, found = torch.linalg.matrix_norm(matrix, 2), spectral_norm_bound(matrix)
    assert bool((found >= exact).all()) and bool((found <= 1.02 * exact).all())


@pytest.mark.parametrize("value", [0.0, torch.inf, torch.nan])
def test_degenerate_matrices(value: float) -> None:
    found = float(spectral_norm_bound(torch.full((3, 4), value)))
    assert found < 1e-150 if value == 0 else found == torch.inf


def _matrix(layer: nn.Module, shape: tuple[int, ...]) -> Tensor:
    size = torch.Size(shape).numel()
    basis = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
    with torch.no_grad():
        return (layer(basis) - layer(torch.zeros_like(basis))).flatten(1).T


def _norm(layer: nn.Module, shape: tuple[int, ...]) -> tuple[float, float]:
    """The bound of the layer's norm and the norm."""
    layer = layer.double().eval().requires_grad_(False)
    dual = autodual.compile_dual(layer, torch.zeros(1, *shape, dtype=torch.float64))
    compiled = dual.compiled(torch.zeros(1, *shape, dtype=torch.float64))
    graph = compiled.plan.graph
    (node,) = [node for node in graph if node.inputs]
    rule = compiled.plan.rules[node.name]
    assert isinstance(rule, AffineRule)
    environment = dual.environment(compiled, torch.zeros(1, *shape, dtype=torch.float64))
    layers = rule.layer(node, graph.input_shapes(node), environment)
    (found,) = layers.norms([torch.ones(1, *shape, dtype=torch.bool)])
    return float(found), float(torch.linalg.matrix_norm(_matrix(layer, shape), 2))


@effort(12)
@given(st.data())
def test_convolutions_of_all_shapes(data: st.DataObject) -> None:
    def draw(*options: Any) -> Any:
        return data.draw(st.sampled_from(options))

    axes, groups = draw(1, 2), draw(1, 1, 2)
    torch.manual_seed(data.draw(st.integers(0, 10**6)))
    kind = (nn.Conv1d, nn.Conv2d)[axes - 1]
    options = [tuple(draw(*some) for _ in range(axes)) for some in ((1, 2, 3), (1, 2, 3), (0, 1, 2), (1, 1, 2))]
    layer = kind(2, 4, *options, groups=groups)
    shape = (2, *(draw(6, 7, 9) for _ in range(axes)))
    found, exact = _norm(layer, shape)
    assert exact <= found <= 1.02 * exact
    assert exact <= _torus_norm(layer, shape) <= 1.6 * exact


def _torus_norm(layer: Any, shape: tuple[int, ...]) -> float:
    geometry = Geometry(layer.stride, layer.padding, layer.dilation, layer.groups)
    return float(torus_norm(layer.weight.double(), geometry, layer(torch.zeros(1, *shape).double()).shape[2:]))


def test_long_axes_are_bounded_between_frequencies() -> None:
    torch.manual_seed(0)
    layer = nn.Conv1d(1, 2, 3)
    found, exact = _norm(layer, (1, 1400))
    assert found == _torus_norm(layer, (1, 1400)) and exact <= found <= 1.1 * exact


def test_norms_follow_the_weights() -> None:
    """They are kept from call to call, but never those of other weights."""
    layer = nn.Conv1d(1, 2, 3)
    before = _norm(layer, (1, 9))
    with torch.no_grad():
        layer.weight *= 2
    assert _norm(layer, (1, 9))[0] == pytest.approx(2 * before[0])


@pytest.mark.parametrize(
    ("layer", "shape", "factor"),
    [
        (nn.Linear(5, 3), (5,), 1.02),
        (nn.Linear(4, 3), (2, 4), 1.02),
        (nn.AvgPool2d(2), (2, 4, 4), 1.02),
        (nn.BatchNorm1d(4), (4,), 1.02),
        (nn.ConvTranspose2d(2, 3, 2), (2, 3, 3), 1.02),
        (nn.Flatten(), (2, 3), 1.02),
        (nn.ZeroPad2d(1), (1, 2, 2), 1.02),
    ],
)
def test_other_layers(layer: nn.Module, shape: tuple[int, ...], factor: float) -> None:
    torch.manual_seed(0)
    found, exact = _norm(layer, shape)
    assert exact <= found <= factor * exact


@effort(40)
@given(networks(), st.integers(0, 10**6))
def test_no_affine_layer_stretches_more_than_its_norms(model: RandomNetwork, seed: int) -> None:
    """Of all ops of random networks, several operands and units that do not move included."""
    dual = model.dual()
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, *model.shape, generator=generator, dtype=torch.float64)
    compiled = dual.compiled(x)
    graph, environment = compiled.plan.graph, dual.environment(compiled, x)
    shapes = {name: value.shape[1:] for name, value in node_values(dual, x).items()}
    for node in graph:
        rule = compiled.plan.rules.get(node.name)
        if not isinstance(rule, AffineRule) or not node.inputs:
            continue
        layer = rule.layer(node, graph.input_shapes(node), environment)
        if not isinstance(layer, AffineLayer):
            continue
        moving = [torch.rand(1, *shapes[name], generator=generator) < 0.7 for name in node.inputs]
        steps = [
            torch.where(mask, torch.randn(8, *mask.shape[1:], generator=generator, dtype=torch.float64), 0.0)
            for mask in moving
        ]
        for place, norm in enumerate(layer.norms(moving)):
            alone = [step if number == place else None for number, step in enumerate(steps)]
            longest = layer.push(alone).flatten(1).norm(dim=1) / steps[place].flatten(1).norm(dim=1).clamp(min=1e-300)
            assert bool((longest <= float(norm) * (1 + 1e-12) + 1e-12).all()), (node.op, place)


def test_inactive_columns_are_left_out() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(3, 4).double()
    dual = autodual.compile_dual(layer)
    x = torch.zeros(1, 3, dtype=torch.float64)
    compiled = dual.compiled(x)
    (node,) = [node for node in compiled.plan.graph if node.inputs]
    rule = compiled.plan.rules[node.name]
    assert isinstance(rule, AffineRule)
    linear = rule.layer(node, [(3,)], dual.environment(compiled, x))
    (found,) = linear.norms([torch.tensor([[True, False, True], [False, False, False], [True, True, True]])])
    exact = [float(torch.linalg.matrix_norm(layer.weight[:, kept], 2)) for kept in ([0, 2], [0, 1, 2])]
    assert exact[0] <= float(found[0]) <= 1.01 * exact[0] and float(found[1]) < 1e-150
    assert exact[1] <= float(found[2]) <= 1.01 * exact[1]
