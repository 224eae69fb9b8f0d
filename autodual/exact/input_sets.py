"""Perturbation sets as columns and rows: sets of independent features are boxes, l1 and Wasserstein balls polyhedra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy

from autodual.errors import InvalidInputError
from autodual.exact.linear_program import Array, ProgramBuilder, flat_array, rounded
from autodual.exact.moved_mass import add_plan
from autodual.perturbations import Support
from autodual.perturbations.balls.ball_region import BallRegion
from autodual.perturbations.balls.clipped_region import ClippedRegion
from autodual.perturbations.polytopes.polytope_region import PolytopeRegion
from autodual.perturbations.product_region import ProductRegion
from autodual.perturbations.wasserstein.clipped_wasserstein import ClippedWasserstein
from autodual.perturbations.wasserstein.surrogate_region import SurrogateRegion
from autodual.perturbations.wasserstein.wasserstein_region import WassersteinRegion

SetEncoder = Callable[[Any, Array, ProgramBuilder], Array]
_Encoder = TypeVar("_Encoder", bound=SetEncoder)

_ENCODERS: dict[type[Support], SetEncoder] = {}


def set_encoder(kind: type[Support]) -> Callable[[_Encoder], _Encoder]:
    """Function decorator: how the sets of one class of placed sets are added to a program."""

    def register(encoder: _Encoder) -> _Encoder:
        _ENCODERS[kind] = encoder
        return encoder

    return register


def add_inputs(region: Support, used: Array, builder: ProgramBuilder) -> Array:
    """Columns of those input scalars that are `used`, bool `[size]`, for a set around one sample, in float64.

    Returns:
        The column of each scalar, int `[size]`; -1 for the others.

    Raises:
        InvalidInputError: the set is no polyhedron.
    """
    encoder = _ENCODERS.get(type(region))
    if encoder is None and region.independent:
        encoder = _box
    if encoder is None:
        raise InvalidInputError(
            f"exact verification needs a set with flat sides (an l∞, l1 or Wasserstein ball, a box, or a product of "
            f"these), not this one: {region.source.describe()}"
        )
    return encoder(region, used, builder)


def _box(region: Support, used: Array, builder: ProgramBuilder) -> Array:
    """The smallest box around the set, and what rounding may add to it."""
    room, enclosure = region.rounding(), region.enclosure()
    lower, upper = flat_array(enclosure.lower - room), flat_array(enclosure.upper + room)
    columns = numpy.full(len(used), -1)
    columns[used] = builder.add_columns(lower[used], upper[used])
    return columns


@set_encoder(BallRegion)
def _ball(region: BallRegion, used: Array, builder: ProgramBuilder) -> Array:
    return _within_l1(region, region, used, builder)


@set_encoder(ClippedRegion)
def _clipped(region: ClippedRegion, used: Array, builder: ProgramBuilder) -> Array:
    return _within_l1(region, region.ball, used, builder)


@set_encoder(ProductRegion)
def _product(region: ProductRegion, used: Array, builder: ProgramBuilder) -> Array:
    sizes = [part.shape.numel() for part in region.parts]
    shares = numpy.split(used, numpy.cumsum(sizes)[:-1])
    return numpy.concatenate([add_inputs(part, share, builder) for part, share in zip(region.parts, shares)])


@set_encoder(PolytopeRegion)
def _polytope(region: PolytopeRegion, used: Array, builder: ProgramBuilder) -> Array:
    columns = _box(region, used | (flat_array(region.matrix.abs().amax(1)) > 0), builder)
    sides, bounds = region.matrix[0].numpy(), flat_array(region.sides.outer)
    place, here = sides.nonzero()
    size = abs(sides) @ flat_array(region.enclosure().magnitude)
    builder.add_rows(
        [(place, columns[here], sides[place, here])], -numpy.inf, bounds, len(bounds), rounded(bounds, size)
    )
    return columns


@set_encoder(WassersteinRegion)
@set_encoder(SurrogateRegion)
def _wasserstein(region: WassersteinRegion, used: Array, builder: ProgramBuilder) -> Array:
    columns = _box(region, used, builder)
    add_plan(region, numpy.flatnonzero(used), columns[used], builder)
    return columns


@set_encoder(ClippedWasserstein)
def _clipped_wasserstein(region: ClippedWasserstein, used: Array, builder: ProgramBuilder) -> Array:
    columns = _box(region, used, builder)
    add_plan(region.ball, numpy.flatnonzero(used), columns[used], builder)
    return columns


def _within_l1(region: Support, ball: BallRegion, used: Array, builder: ProgramBuilder) -> Array:
    """x = centre + p - q with p, q ≥ 0 and Σ p + q ≤ radius, within the box around the set.

    Scalars that no unit reads stay where they are, which leaves the others the most room.
    """
    if ball.order != 1:
        raise InvalidInputError(
            "exact verification needs a set with flat sides (an l∞, l1 or Wasserstein ball, a box, or a product of "
            f"these), not this one: {region.source.describe()}"
        )
    columns = _box(region, used, builder)
    here, count = columns[used], int(used.sum())
    centre = flat_array(ball.centre)[used]
    radius = float(numpy.nextafter(float(ball.radius[0]), numpy.inf))
    nothing, most = numpy.zeros(count), numpy.full(count, radius)
    plus, minus = builder.add_columns(nothing, most), builder.add_columns(nothing, most)
    slack = rounded(centre, most)
    builder.add_rows([(None, here, 1.0), (None, plus, -1.0), (None, minus, 1.0)], centre, centre, count, slack)
    first = numpy.zeros(count, int)
    builder.add_rows([(first, plus, 1.0), (first, minus, 1.0)], -numpy.inf, radius, 1, rounded(numpy.array([radius])))
    return columns
