"""Linear constraints between inputs, as cases of a property have them: the sets that bounds and attacks work in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from autodual.certification.verdicts.number_readings import upper_reading
from autodual.errors import EmptySetError
from autodual.perturbations import Box, Polytope, Region
from autodual.perturbations.polytopes.polytope import cut_boxes
from autodual.properties import Case
from autodual.tensors import flat

# Of a row's size, how far inside attacks stay, so that a point rounded to float32 keeps the exact constraint.
_INSIDE = 2e-6


@dataclass(frozen=True, eq=False)
class InputConstraints:
    """⟨matrix_j, x⟩ ≤ bound_j of the inputs of N cases: float64 `[N, J, *shape]` and `[N, J]`.

    Rows of zeros pad. A constraint that holds strictly is here with ≤.
    """

    matrix: Tensor
    bound: Tensor

    @classmethod
    def of(cls, cases: Sequence[Case], shape: Sequence[int], device: torch.device) -> InputConstraints | None:
        """Those of some cases; None where their boxes keep all constraints by themselves."""
        rows = [_between_inputs(case) for case in cases]
        count = max(len(bound) for _, bound in rows)
        if count == 0:
            return None
        matrix = numpy.zeros((len(cases), count, len(cases[0].lower)))
        bound = numpy.zeros((len(cases), count))
        for place, (own, ends) in enumerate(rows):
            matrix[place, : len(ends)], bound[place, : len(ends)] = own, ends
        found = torch.from_numpy(matrix).reshape(len(cases), count, *shape)
        return cls(found.to(device), torch.from_numpy(bound).to(device))

    def select(self, index: Tensor) -> InputConstraints:
        """Those of some of the cases."""
        return InputConstraints(self.matrix[index], self.bound[index])

    def clipped(self, lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ends of boxes that hold all points in [lower, upper] `[N, *shape]`, and the cases that have none `[N]`."""
        box, empty = cut_boxes(lower, upper, self.matrix, self.bound)
        return (
            torch.where(_each(empty, lower), lower, box.lower),
            torch.where(_each(empty, upper), upper, box.upper),
            empty,
        )

    def inside(self, lower: Tensor, upper: Tensor) -> InputConstraints:
        """Constraints that points in [lower, upper] keep with room for rounding, where such points exist."""
        size = (flat(self.matrix, 2).abs() * flat(torch.maximum(lower.abs(), upper.abs())).unsqueeze(1)).sum(2)
        inner = InputConstraints(self.matrix, self.bound - _INSIDE * (size + self.bound.abs()))
        _, empty = cut_boxes(lower, upper, inner.matrix, inner.bound)
        return InputConstraints(self.matrix, torch.where(empty.unsqueeze(1), self.bound, inner.bound))


def placed(lower: Tensor, upper: Tensor, constraints: InputConstraints | None, x: Tensor) -> Region:
    """The points of boxes `[N, *shape]` that keep constraints, around x `[N, *shape]` and in its dtype.

    The boxes alone where x's dtype says of one of them that nothing is left: the caller has asked in float64 before.
    """
    box = Box(lower, upper)
    if constraints is None:
        return box.at(x)
    try:
        return Polytope(lower, upper, constraints.matrix, constraints.bound).at(x)
    except EmptySetError:
        return box.at(x)


def _between_inputs(case: Case) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The rows `[J, D]` and bounds `[J]` of a case that its box does not keep by itself.

    Bounds are the larger of what the file says and what float32 rounds that to; they allow for coefficients' rounding.
    Rows are scaled by powers of two, so that float32 can hold them whatever the property's units are.
    """
    if case.relation is None:
        return numpy.zeros((0, len(case.lower))), numpy.zeros(0)
    limits, magnitude = numpy.finfo(numpy.float64), numpy.maximum(abs(case.lower), abs(case.upper))
    matrix, bound = case.relation.matrix, case.relation.bound
    # The box of a file's case has the ends of single inputs; only a case made by hand may cut them off by a row.
    reach = numpy.maximum(matrix * case.lower, matrix * case.upper).sum(1)
    cut_off = reach > bound + 4 * limits.eps * (abs(matrix) @ magnitude + abs(bound))
    chosen = ((matrix != 0).sum(1) > 1) | cut_off
    matrix, bound = matrix[chosen], bound[chosen]
    exponent = -numpy.frexp(abs(matrix).max(1, initial=0.0))[1]
    with numpy.errstate(over="ignore"):
        matrix, bound = numpy.ldexp(matrix, exponent[:, None]), numpy.ldexp(upper_reading(bound), exponent)
    size = abs(matrix) @ magnitude
    # Beyond what the left side can be, bounds say the same whatever they are.
    bound = numpy.clip(bound, -2 * size - 1, 2 * size + 1)
    return matrix, bound + 2 * limits.eps * (size + abs(bound)) + (limits.tiny * (1 + magnitude)).sum()


def _each(flags: Tensor, like: Tensor) -> Tensor:
    return flags.reshape(-1, *[1] * (like.dim() - 1))
