"""The contract of affine rules: pull is the transpose, the objective pays the constant term, intervals enclose."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.bounds.rounding.error_factor import error_factor
from autodual.dual import AffineRule, DualLayer, Rows
from autodual.interval import Interval
from autodual.tensors import flat
from autodual.testing.case import Case
from autodual.testing.execution_checks import check_roundings
from autodual.testing.failure import require, require_all
from autodual.testing.rounding import charged
from autodual.testing.windows import check_windows

_ROWS = 5


def check_affine(case: Case) -> None:
    """Check all properties of the affine rule of `case`; raises DualRuleError."""
    layer = case.affine
    require_all(
        torch.tensor(layer.linear and layer.spread() is None),
        case.subject(),
        "an affine layer is not `linear`, or has `spread`",
    )
    _check_values(case, layer)
    _check_transpose(case, layer)
    _check_interval(case, layer)
    _check_moving(case)
    check_roundings(case, layer, _matrices(case) if case.shapes else [])
    check_windows(case, layer, case.subject())


def _points(case: Case, count: int) -> list[Tensor]:
    return [case.normal(count, *shape, place=place) for place, shape in enumerate(case.shapes)]


def _rows(case: Case) -> Rows:
    """One group of rows that all samples share."""
    return Rows(case.normal(1, _ROWS, *case.node.shape, place=9), case.node.shape)


def _inner(rows: Tensor, points: Tensor) -> Tensor:
    """⟨row, point⟩ of rows `[K, *shape]` and points `[P, *shape]` in float64: `[P, K]`."""
    return flat(points.double(), 1) @ flat(rows.double(), 1).T


def _check_values(case: Case, layer: DualLayer) -> None:
    """⟨ν, op(z)⟩ = ⟨pull ν, z⟩ + the objective's contribution, with no more rounding than rigorous bounds charge."""
    rows, points = _rows(case), _points(case, 4)
    exact = [point.double() for point in points]
    value = case.exact.value(exact) if points else case.op.forward((), case.exact.environment)
    contribution, pulled = layer.objective(rows), layer.pull(rows)
    require_all(torch.tensor(contribution.width is None), case.subject(), "the objective of an affine op has a width")
    found = torch.zeros(value.shape[0], rows.count, dtype=torch.float64, device=case.device)
    if contribution.centre is not None:
        found = found + contribution.centre.double()
    for part, shape in zip(pulled, case.shapes, strict=True):
        require_all(torch.tensor(part.shape == shape), case.subject(), f"pull gives rows of a shape other than {shape}")
    for part, point in zip(pulled, points):
        _check_kind(case, part.values, "pull")
        found = found + _inner(part.values[0], point)
    room = charged(layer, [point.abs() for point in points], case.node.size, case.dtype)
    allowed = _inner(rows.values[0].abs(), room.expand_as(value))
    at = [Interval(point, point) for point in points]
    off = (found - _inner(rows.values[0], value)).abs()
    require_all(off.isfinite(), case.subject(), "pull and objective give NaN or infinity", at)
    require(off - allowed, case.subject(), "⟨ν, op(z)⟩ differs from ⟨pull ν, z⟩ + objective", at)
    centre = layer.constant(points)
    _check_kind(case, centre, "constant")
    require((centre.double() - value).abs() - room, case.subject(), "`constant` differs from the op", at)


def _check_transpose(case: Case, layer: DualLayer) -> None:
    """pull is the vector-Jacobian product of the op and the adjoint of push, for all inputs at once and each alone."""
    if not case.shapes:
        return
    rows, points = _rows(case), _points(case, 4)
    pulled = layer.pull(rows)
    environment = case.exact.environment
    zeros = [torch.zeros(_ROWS, *shape, dtype=torch.float64, device=case.device) for shape in case.shapes]
    transpose = torch.func.vjp(lambda *inputs: case.op.forward(inputs, environment), *zeros)[1]
    factor = error_factor(layer.terms, case.dtype)
    matrices = _matrices(case)
    weight = flat(rows.values[0].double().abs(), 1)
    for part, expected, matrix in zip(pulled, transpose(rows.values[0].double()), matrices):
        off = flat((part.values[0].double() - expected).abs(), 1)
        require(off - factor * (weight @ matrix.abs()), case.subject(), "pull is not the op's transpose")
    for chosen in [*range(len(points)), None]:
        columns = [point if chosen in (place, None) else None for place, point in enumerate(points)]
        moved = layer.push(columns)
        _check_kind(case, moved, "push")
        expected = torch.zeros(4, _ROWS, dtype=torch.float64, device=case.device)
        allowed = expected
        for part, column, matrix in zip(pulled, columns, matrices):
            if column is not None:
                expected = expected + _inner(part.values[0], column)
                allowed = allowed + factor * flat(column.double().abs(), 1) @ (weight @ matrix.abs()).T
        off = (_inner(rows.values[0], moved) - expected).abs()
        require(off - 2 * allowed, case.subject(), "push is not the adjoint of pull")
    longest = torch.cat([matrix != 0 for matrix in matrices], 1)
    needed = max(int(longest.sum(1).max()), int(longest.sum(0).max()))
    require(
        torch.tensor([float(needed - layer.terms)]), case.subject(), "`terms` is less than the longest sum of products"
    )


def _matrices(case: Case) -> list[Tensor]:
    """The op as one dense matrix `[outputs, inputs]` per input, in float64, by automatic differentiation alone."""
    size, environment = case.node.size, case.exact.environment
    zeros = [torch.zeros(size, *shape, dtype=torch.float64, device=case.device) for shape in case.shapes]
    transpose = torch.func.vjp(lambda *inputs: case.op.forward(inputs, environment), *zeros)[1]
    identity = torch.eye(size, dtype=torch.float64, device=case.device).reshape(size, *case.node.shape)
    return [flat(matrix, 1) for matrix in transpose(identity)]


def _check_moving(case: Case) -> None:
    """`moves`, `reads_once` and `reads_one` are true: the engine passes bounds on, treats features as independent, and
    takes bounds for exact, by them.
    """
    assert isinstance(case.rule, AffineRule)
    if not (case.rule.moves or case.rule.reads_once or case.rule.reads_one):
        return
    require_all(torch.tensor(len(case.shapes) == 1), case.subject(), "an op that moves scalars has one input")
    (matrix,) = _matrices(case)
    if case.rule.moves:
        zero = torch.zeros(1, *case.shapes[0], dtype=torch.float64, device=case.device)
        copied = ((matrix == 1).sum(1) == 1) & ((matrix != 0).sum(1) == 1) & (case.exact.value([zero]).flatten() == 0)
        require_all(copied, case.subject(), "the rule says `moves`, but an output is not a copy of one scalar")
    if case.rule.reads_once:
        once = (matrix != 0).sum(0) <= 1
        require_all(once, case.subject(), "the rule says `reads_once`, but a scalar is read twice")
    if case.rule.reads_one:
        one = (matrix != 0).sum(1) <= 1
        require_all(one, case.subject(), "the rule says `reads_one`, but an output depends on several scalars")


def _check_interval(case: Case, layer: DualLayer) -> None:
    """Intervals enclose the op at the worst corner of every output, and are tight where no coefficient is negative."""
    if not case.shapes:
        found = layer.interval([])
        value = case.op.forward((), case.environment)
        holds = (found.lower <= value) & (found.upper >= value)
        require_all(holds, case.subject(), "the interval leaves out the constant")
        return
    centres = _points(case, 3)
    radii = [case.normal(3, *shape, place=5 + place).abs() for place, shape in enumerate(case.shapes)]
    radii = [radius * radius.new_tensor([1.0, 1e-3, 0.0]).reshape(-1, *[1] * (radius.dim() - 1)) for radius in radii]
    bounds = [Interval.around(centre, radius) for centre, radius in zip(centres, radii)]
    found = layer.interval(bounds)
    _check_kind(case, found.lower, "interval")
    matrices = _matrices(case)
    exact = [bound.map(lambda end: end.double()) for bound in bounds]
    middle = case.exact.value([bound.centre for bound in exact])
    width = sum(
        (flat(bound.radius, 1) @ matrix.abs().T for bound, matrix in zip(exact, matrices)), middle.new_zeros(1, 1)
    )
    width = width.reshape(middle.shape)
    room = charged(layer, [bound.magnitude for bound in bounds], case.node.size, case.dtype)
    subject = case.subject()
    require_all(found.lower.isfinite() & found.upper.isfinite(), subject, "the interval is not finite", bounds)
    require(found.lower.double() - (middle - width) - room, subject, "the interval begins above the op", bounds)
    require((middle + width) - found.upper.double() - room, subject, "the interval ends below the op", bounds)
    if all(bool((matrix >= 0).all()) for matrix in matrices):
        loose = (middle - width - found.lower.double()).maximum(found.upper.double() - middle - width)
        require(loose - room, subject, "the interval of a non-decreasing op is wider than its range", bounds)
    unknown = [bound.map(lambda end: end.clone()) for bound in bounds]
    unknown[0].lower[0] = torch.nan
    unknown[0].upper[0] = torch.nan
    depends = (matrices[0] != 0).any(1).reshape(case.node.shape)
    lost = layer.interval(unknown).lower[0].isnan() | layer.interval(unknown).upper[0].isnan()
    require_all((lost | ~depends).unsqueeze(0), subject, "NaN bounds give numbers", unknown)


def _check_kind(case: Case, tensor: Tensor, what: str) -> None:
    """A tensor that a layer returns has the dtype and device of its inputs."""
    kept = tensor.dtype == case.dtype and tensor.device.type == case.device.type
    message = f"{what} gives {tensor.dtype} on {tensor.device} for {case.dtype} on {case.device}"
    require_all(torch.tensor(kept), case.subject(), message)
