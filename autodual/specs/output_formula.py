"""Specifications written as formulas: "y0 > y1 and (y2 < 0.5 or 2*y3 - y1 >= 2)"."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.specs.base import Rows, Specification, flat_outputs, with_ties
from autodual.specs.formula_parser import Atom, parse_formula
from autodual.specs.halfspaces import ClauseIndex


@dataclass(frozen=True, eq=False)
class Formula(Specification):
    """Linear comparisons of the outputs y0, y1, …, joined by `and`, `or`, `not` and parentheses.

    Decimals are exact: they are combined as fractions and rounded once, which rigorous bounds account for. A
    comparison whose outputs cancel is true or false by itself.

    Args:
        text: such as "y0 > y1 and (y2 < 0.5 or 2*y3 - y1 >= 2)".

    Raises:
        InvalidInputError: the text cannot be read (the message gives the column), or holds or fails for all outputs.

    Example:
        >>> import torch
        >>> from autodual.specs import Formula
        >>> goal, outputs = Formula("y0 > y1 or y0 > 5"), torch.tensor([[3.0, 1.0]])
        >>> goal.margin(goal.rows(outputs).values(outputs))
        tensor([2.])
    """

    text: str
    atoms: tuple[Atom, ...] = field(init=False, repr=False)
    clauses: tuple[tuple[int, ...], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        atoms, clauses = parse_formula(self.text)
        object.__setattr__(self, "atoms", atoms)
        object.__setattr__(self, "clauses", clauses)

    def rows(self, outputs: Tensor) -> Rows:
        outputs = flat_outputs(outputs)
        extent = outputs.shape[1]
        largest = max(output for atom in self.atoms for output, _ in atom.coefficients)
        if largest >= extent:
            raise InvalidInputError(
                f"the formula speaks of y{largest}, but the network has the outputs y0 to y{extent - 1}"
            )
        objective = torch.zeros(len(self.atoms), extent, dtype=torch.float64)
        for row, atom in enumerate(self.atoms):
            for output, coefficient in atom.coefficients:
                objective[row, output] = coefficient
        offset, error = (
            torch.tensor([getattr(atom, name) for atom in self.atoms], dtype=torch.float64)
            for name in ("offset", "offset_error")
        )
        near = offset.to(outputs)
        return Rows(objective.to(outputs), near, (error + (near.double().cpu() - offset).abs()).to(outputs))

    def margin(self, values: Tensor) -> Tensor:
        weak = torch.tensor([atom.weak for atom in self.atoms], device=values.device)
        return self._index.margin(with_ties(values, weak))

    @cached_property
    def _index(self) -> ClauseIndex:
        return ClauseIndex.of(self.clauses)

    @property
    def disjunctions(self) -> tuple[tuple[int, ...], ...]:
        return self.clauses

    def describe(self) -> str:
        return self.text.strip()

    def settings(self) -> dict[str, Any]:
        return {"specification": "formula", "text": self.text.strip()}
