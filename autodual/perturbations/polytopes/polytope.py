"""Polytopes: boxes cut by half-spaces, as linear constraints between inputs make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.inputs import number_tensor
from autodual.interval import Interval
from autodual.perturbations.box import Box, BoxRegion
from autodual.perturbations.parameters import Parameter, aligned, check_ends, summary, words
from autodual.perturbations.perturbation import PerturbationSet, changed, require_points
from autodual.perturbations.polytopes.clipped_ends import clipped
from autodual.perturbations.polytopes.multipliers import CutBoxes
from autodual.perturbations.polytopes.polytope_region import PolytopeRegion
from autodual.perturbations.polytopes.sides import Sides
from autodual.requirements import require
from autodual.tensors import finite, flat


@dataclass(frozen=True, eq=False)
class Polytope(PerturbationSet):
    """{z : lower ≤ z ≤ upper, ⟨matrix_j, z⟩ ≤ bound_j for every j}; the samples need not lie inside.

    Bounds over it bring in every half-space with its best multiplier, or nearly where there are several of them.
    A point may break a half-space by what rounding does to ⟨matrix_j, z⟩, and bounds allow for that.

    Args:
        lower, upper: numbers, `[*shape]` or `[N, *shape]`; tensors, arrays or lists.
        matrix: `[J, *shape]` or `[N, J, *shape]`.
        bound: `[J]` or `[N, J]`.

    Raises:
        EmptySetError: there is certainly no such point.
        InvalidInputError: shapes do not fit, or a number is not finite.

    Example:
        >>> import autodual, torch
        >>> from autodual.perturbations import Polytope
        >>> dual, x = autodual.compile_dual(torch.nn.Identity()), torch.zeros(1, 2)
        >>> at_most_one = Polytope(-1.0, 1.0, [[1.0, 1.0]], [1.0])
        >>> dual.lower_bounds(x, at_most_one, torch.tensor([[-1.0, -2.0]])).round(decimals=4)
        tensor([[-2.0000]])
    """

    lower: Parameter
    upper: Parameter
    matrix: Any
    bound: Any

    def __post_init__(self) -> None:
        check_ends(self.lower, self.upper, "the polytope")
        for name in ("matrix", "bound"):
            value = number_tensor(getattr(self, name), f"{name} of the polytope")
            if not value.isfinite().all():
                raise InvalidInputError(f"the {name} of a polytope must be finite")
            object.__setattr__(self, name, value)

    def bind(self, x: Tensor) -> PolytopeRegion:
        lower, upper = aligned(self.lower, x, "lower"), aligned(self.upper, x, "upper")
        matrix, bound = self._each(self.matrix, x, tuple(x.shape[1:])), self._each(self.bound, x, ())
        if matrix.shape[1] != bound.shape[1] or matrix.shape[1] == 0:
            raise InvalidInputError(
                f"a polytope needs one bound for each of its half-spaces, and at least one, but has {matrix.shape[1]} "
                f"half-spaces and {bound.shape[1]} bounds"
            )
        source = changed(self, lower=lower, upper=upper, matrix=matrix, bound=bound)
        box = Box(lower, upper).bind(x)
        sides = Sides.around(matrix.to(x), bound.to(x), box.enclosure().magnitude)
        require(finite(sides.matrix, sides.bound), _beyond)
        ends, empty = _cut(box, sides)
        require_points(~empty, source)
        tight = BoxRegion(source, x, ends.lower, ends.upper)
        return PolytopeRegion(source, x, tight, sides.matrix, sides.bound, sides.slack)

    @staticmethod
    def _each(value: Tensor, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """A parameter `[J, *shape]` or `[N, J, *shape]` as `[N, J, *shape]`."""
        value = value.to(x.device)
        if value.dim() == len(shape) + 1:
            value = value.unsqueeze(0)
        if value.dim() != len(shape) + 2 or tuple(value.shape[2:]) != shape or value.shape[0] not in (1, x.shape[0]):
            raise InvalidInputError(
                f"half-spaces of a polytope need a matrix [J, *shape] and a bound [J], or both for each of the "
                f"{x.shape[0]} samples, of the shape {list(x.shape[1:])}, not a tensor {list(value.shape)}"
            )
        return value.expand(x.shape[0], *value.shape[1:])

    def describe(self) -> str:
        ends = f"lower ends {words(self.lower)} and upper ends {words(self.upper)}"
        return f"box with {ends}, cut by {self.bound.shape[-1]} half-space(s)"

    def settings(self) -> dict[str, Any]:
        ends = {"lower": summary(self.lower), "upper": summary(self.upper)}
        sides = {"matrix": summary(self.matrix), "bound": summary(self.bound)}
        return {"set": "Polytope", **ends, **sides, "half_spaces": self.bound.shape[-1]}


def cut_boxes(lower: Tensor, upper: Tensor, matrix: Tensor, bound: Tensor) -> tuple[Interval, Tensor]:
    """Boxes around what half-spaces leave of boxes, and which ones are certainly empty.

    Args:
        lower, upper: `[N, *shape]`.
        matrix: `[N, J, *shape]`.
        bound: `[N, J]`.

    Returns:
        The boxes, whose ends may cross where they are empty, and bool `[N]`.

    Example:
        >>> import torch
        >>> from autodual.perturbations.polytopes.polytope import cut_boxes
        >>> zero, row = torch.zeros(1, 2), torch.ones(1, 1, 2)
        >>> cut_boxes(zero, zero + 1, row, torch.tensor([[-1.0]]))[1]
        tensor([True])
    """
    box = Interval(lower, upper)
    return _cut(box, Sides.around(matrix, bound, box.magnitude))


def _cut(box: BoxRegion | Interval, sides: Sides) -> tuple[Interval, Tensor]:
    shape, ends = box.lower.shape, clipped(flat(box.lower), flat(box.upper), sides)
    empty = (ends.lower > ends.upper).any(1) | CutBoxes.around(ends, sides).empty()
    return Interval(ends.lower.reshape(shape), ends.upper.reshape(shape)), empty


def _beyond() -> InvalidInputError:
    return InvalidInputError("the half-spaces of a polytope are too large for the samples' dtype; scale them down")
