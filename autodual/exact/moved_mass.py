"""Wasserstein balls as columns and rows: how much mass makes each move."""

from __future__ import annotations

import numpy

from autodual.exact.linear_program import Array, ProgramBuilder, flat_array, rounded
from autodual.perturbations.wasserstein.wasserstein_region import WassersteinRegion


def add_plan(ball: WassersteinRegion, pixels: Array, columns: Array, builder: ProgramBuilder) -> None:
    """Let `columns`, inputs at some `pixels` of one sample, be what its mass can make of them.

    z_j = x_j + what arrives at j - what leaves it. No source sends more than it has, and all moves together cost at
    most the budget.

    Args:
        ball: around one sample, in float64.
        pixels: their places in the flattened sample.
        columns: of z at these pixels.
        builder: of the program.
    """
    x, size = flat_array(ball.centre), ball.shape.numel()
    source, target, cost = _moves(ball, x)
    mass = builder.add_columns(numpy.zeros(len(source)), x[source])
    place = numpy.full(size, -1)
    place[pixels] = numpy.arange(len(pixels))
    arriving, leaving = place[target] >= 0, place[source] >= 0
    most = x[pixels] + numpy.bincount(target, x[source], size)[pixels]
    entries = [
        (None, columns, 1.0),
        (place[target[arriving]], mass[arriving], -1.0),
        (place[source[leaving]], mass[leaving], 1.0),
    ]
    beside = flat_array(ball.rounding())[pixels]  # how far members may lie from where a plan takes x
    builder.add_rows(entries, x[pixels], x[pixels], len(pixels), rounded(x[pixels], most) + beside)
    held, number = numpy.unique(source, return_inverse=True)
    builder.add_rows([(number, mass, 1.0)], -numpy.inf, x[held], len(held), rounded(x[held]))
    # The budget is a product with a sum of as many terms as there are pixels.
    budget = numpy.array([float(ball.budget[0]) * (1 + (size + 8) * numpy.finfo(float).eps)])
    builder.add_rows([(numpy.zeros_like(mass), mass, cost)], -numpy.inf, budget, 1, rounded(budget))


def _moves(ball: WassersteinRegion, x: Array) -> tuple[Array, Array, Array]:
    """The source, target and cost of every move of mass to another pixel."""
    height, width = ball.shape[-2:]
    pixels = numpy.flatnonzero(x)
    row, column = pixels // width % height, pixels % width
    parts = [(numpy.zeros(0, int), numpy.zeros(0, int), numpy.zeros(0))]
    for ring in ball.moves.rings[1:]:
        for down, right in ring.offsets:
            to_row, to_column = row + down, column + right
            exists = (to_row >= 0) & (to_row < height) & (to_column >= 0) & (to_column < width)
            source = pixels[exists]
            parts.append((source, source + down * width + right, numpy.full(len(source), ring.cost)))
    source, target, cost = (numpy.concatenate(part) for part in zip(*parts))
    return source, target, cost
