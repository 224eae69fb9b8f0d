"""Rows stored as windows, only over their receptive field, give the values of whole rows through all local layers."""

from __future__ import annotations

import pytest
import torch
from support.problems import AFFINE, Problem, convolutions, normal
from torch import Tensor

from autodual.dual import DualLayer, Place, Rows, Window, inner
from autodual.dual.patch_matrix import PatchMatrix
from autodual.dual.transpose import Geometry, transpose_convolution
from autodual.ir import Parameter, ops

CLOSE = {"atol": 1e-11, "rtol": 1e-11}
WINDOWED = [
    problem
    for problem in AFFINE
    if problem.shapes and len(problem.node.shape) > 1 and problem.layer().windowed and problem.layer().local
]


def unit_windows(shape: tuple[int, ...], samples: int = 2) -> Rows:
    """Rows for every channel at every position of every sample, one group per position."""
    channels, spatial = shape[0], shape[1:]
    grid = torch.cartesian_prod(torch.arange(samples), *(torch.arange(extent) for extent in spatial))
    window = Window(grid[:, 1:], (1,) * len(spatial), (0,) * len(spatial), spatial)
    base = torch.eye(channels, dtype=torch.float64).reshape(1, channels, channels, *(1,) * len(spatial))
    base = base.expand(len(grid), *base.shape[1:])
    return Rows(base, shape, owner=grid[:, 0], span=(0, samples), window=window)


def unit_rows(shape: tuple[int, ...], samples: int = 2) -> Tensor:
    """The same rows, whole: `[G, K, *shape]`."""
    channels, cells = shape[0], torch.Size(shape[1:]).numel()
    identity = torch.eye(channels * cells, dtype=torch.float64).reshape(channels, cells, *shape)
    return identity.transpose(0, 1).repeat(samples, *[1] * (len(shape) + 1))


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (1, 2, 3, 2)])
def test_unit_windows_are_unit_rows(shape: tuple[int, ...]) -> None:
    torch.testing.assert_close(unit_windows(shape).dense().values, unit_rows(shape))


@pytest.mark.parametrize("problem", WINDOWED, ids=str)
def test_windowed_rows_pull_like_whole_ones(problem: Problem) -> None:
    """Values, contribution, and inner products with tensors per sample, at all positions, borders included."""
    layer, shape = problem.layer(), problem.node.shape
    windows, whole = unit_windows(shape), Rows(unit_rows(shape), shape, owner=unit_windows(shape).owner)
    (pulled,), (expected,) = layer.pull(windows), layer.pull(whole)
    torch.testing.assert_close(pulled.dense().values, expected.values, **CLOSE)
    assert pulled.extent[1:] == tuple(layer.reach((1,) * (len(shape) - 1))) or pulled.window is None
    found, wanted = layer.objective(windows).centre, layer.objective(whole).centre
    if wanted is None:
        assert found is None
    else:
        torch.testing.assert_close(found, wanted, **CLOSE)
    per_sample = normal(2, *problem.shapes[0], seed=3)
    for absolute in (False, True):
        torch.testing.assert_close(
            inner(pulled.crop(), per_sample, absolute=absolute),
            inner(expected, per_sample, absolute=absolute),
            **CLOSE,
        )


@pytest.mark.parametrize("problem", WINDOWED, ids=str)
def test_diagonals_crop_what_lies_outside(problem: Problem) -> None:
    """After a padded layer a patch hangs over the border; a per-sample diagonal must leave zeros there."""
    layer, shape = problem.layer(), problem.node.shape
    diagonal = normal(2, *problem.shapes[0], seed=4)
    windows = layer.pull(unit_windows(shape))[0].scaled(diagonal)
    whole = layer.pull(Rows(unit_rows(shape), shape, owner=unit_windows(shape).owner))[0].scaled(diagonal)
    torch.testing.assert_close(windows.dense().values, whole.values, **CLOSE)
    assert windows.cropped
    torch.testing.assert_close(windows.values.abs().flatten(2).sum(2), whole.values.abs().flatten(2).sum(2), **CLOSE)


@pytest.mark.parametrize("problem", convolutions(), ids=str)
def test_two_layers_deep(problem: Problem) -> None:
    """A second pull starts from patches larger than one unit, merged with a diagonal or not."""
    layer, shape = problem.layer(), problem.node.shape
    diagonal, again = normal(2, *problem.shapes[0], seed=4), _same_size(problem)
    for scale in (False, True):
        windows = layer.pull(unit_windows(shape))[0]
        whole = layer.pull(Rows(unit_rows(shape), shape, owner=unit_windows(shape).owner))[0]
        if scale:
            windows, whole = windows.scaled(diagonal), whole.scaled(diagonal)
        (pulled,), (expected,) = again.pull(windows), again.pull(whole)
        torch.testing.assert_close(pulled.dense().values, expected.values, **CLOSE)
        torch.testing.assert_close(again.objective(windows).centre, again.objective(whole).centre, **CLOSE)


def _same_size(problem: Problem) -> DualLayer:
    """A padded convolution whose output has the shape of the problem's input."""
    channels, *spatial = problem.shapes[0]
    axes = len(spatial)
    op = ops.Convolution(Parameter("w"), Parameter("b"), (1,) * axes, (1,) * axes, (1,) * axes)
    made = {"w": normal(channels, 2, *(3,) * axes, seed=7), "b": normal(channels, seed=8)}
    return Problem("second", op, ((2, *spatial),), made).layer()


def _geometry(problem: Problem) -> Geometry:
    op = problem.op
    assert isinstance(op, ops.Convolution)
    return Geometry(op.stride, op.padding, op.dilation, op.groups)


@pytest.mark.parametrize("problem", convolutions(), ids=str)
def test_transposed_convolutions_reach_the_whole_input(problem: Problem) -> None:
    """Also the last inputs that a stride does not cover, which the published code drops."""
    weight, shape, inputs = problem.parameters["w"], problem.node.shape, problem.shapes[0]
    values = normal(3, *shape, seed=5)
    pulled = transpose_convolution(values, weight, _geometry(problem), inputs[1:])
    zeros = torch.zeros(3, *inputs, dtype=torch.float64)
    _, transpose = torch.func.vjp(lambda x: problem.op.forward([x], problem.environment), zeros)
    torch.testing.assert_close(pulled, transpose(values)[0], **CLOSE)


@pytest.mark.parametrize("extent", [1, 2, 3, 5])
@pytest.mark.parametrize("problem", [p for p in convolutions() if len(p.shapes[0]) <= 3], ids=str)
def test_patch_matrices_are_transposed_convolutions(problem: Problem, extent: int) -> None:
    """As banded matrices from patch to patch, plain and merged with shared rows."""
    weight, geometry = problem.parameters["w"], _geometry(problem)
    size = (problem.node.shape[0], *(extent,) * (len(problem.shapes[0]) - 1))
    matrix = PatchMatrix(weight, geometry, size)
    assert matrix.reach == (problem.shapes[0][0], *geometry.reach(size[1:], weight.shape[2:]))
    values, scale, base = normal(3, *size, seed=6), normal(4, *size, seed=7), normal(2, *size, seed=8)
    expected = transpose_convolution(values, weight, geometry.unpadded, matrix.reach[1:])
    torch.testing.assert_close(matrix.apply(values), expected, **CLOSE)
    merged = (scale.unsqueeze(1) * base).flatten(0, 1)
    expected = transpose_convolution(merged, weight, geometry.unpadded, matrix.reach[1:])
    found = matrix.apply_scaled(base, scale)
    torch.testing.assert_close(found, expected.reshape(found.shape), **CLOSE)


def test_sums_of_branches_cover_the_union_of_their_windows() -> None:
    """A residual block's branches reach different patches around the same position."""
    shape = (2, 6, 5)
    rows = unit_windows(shape)
    wide = _conv3(shape).pull(rows)[0]
    expected = wide.dense().values + rows.dense().values
    for total in (wide.plus(rows), rows.plus(wide)):
        assert total.window is not None
        torch.testing.assert_close(total.dense().values, expected, **CLOSE)
    dense = Rows(unit_rows(shape), shape, owner=rows.owner)
    torch.testing.assert_close(wide.plus(dense).values, expected, **CLOSE)


def _conv3(shape: tuple[int, ...]) -> DualLayer:
    op = ops.Convolution(Parameter("w"), Parameter("b"), (1, 1), (1, 1), (1, 1))
    made = {"w": normal(2, 2, 3, 3), "b": normal(2)}
    return Problem("conv", op, (shape,), made).layer()


def test_places_select_samples_and_positions() -> None:
    """Shared rows restricted to places are the rows of those places."""
    shape = (2, 3, 4)
    whole = unit_windows(shape)
    assert whole.window is not None
    start = unit_windows(shape, samples=1)
    shared = Rows(start.base[:1], shape, window=Window(torch.zeros(1, 2, dtype=torch.long), (1, 1), (0, 0), (3, 4)))
    chosen = torch.tensor([3, 17, 22])
    place = Place(whole.owner[chosen], (0, 2), whole.window.position[chosen])
    torch.testing.assert_close(shared.placed(place).dense().values.expand(3, -1, -1, -1, -1), unit_rows(shape)[chosen])


def test_windows_that_see_only_padding() -> None:
    """Such windows lie outside the node and hold zeros."""
    problem = Problem(
        "far", ops.Convolution(Parameter("w"), None, (5, 5), (2, 2), (1, 1)), ((2, 1, 1),), {"w": normal(3, 2, 1, 1)}
    )
    (pulled,) = problem.layer().pull(unit_windows(problem.node.shape, samples=1))
    assert not bool(pulled.crop().values.any())
