"""What an attack works on: a function, the set that it may search, and what should hold of the outputs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.attacks.base import Function
from autodual.perturbations import Searchable, require_searchable
from autodual.specs import Rows, Specification
from autodual.tensors import flat


@dataclass(frozen=True, eq=False)
class Problem:
    """N samples under attack. `clean` `[N, K]` are their nominal outputs, flattened; `rows` the half-spaces."""

    function: Function
    region: Searchable
    specification: Specification
    rows: Rows
    clean: Tensor

    @classmethod
    def of(cls, function: Function, region: Searchable, specification: Specification) -> Problem:
        """Runs the function once, at the samples, without gradients."""
        require_searchable(region)
        with torch.no_grad():
            clean = function(region.centre)
        return cls(function, region, specification, specification.rows(clean), flat(clean))

    def outputs(self, points: Tensor) -> Tensor:
        """`[N, K]`."""
        return flat(self.function(points))

    def margin(self, outputs: Tensor) -> Tensor:
        """`[N]`; negative where the outputs `[N, K]` refute the specification."""
        return self.specification.margin_of(self.rows, outputs)

    def select(self, index: Tensor) -> Problem:
        """The problem of some of the samples, by a LongTensor."""
        region, specification = self.region.select(index), self.specification.select(index)
        return Problem(self.function, region, specification, self.rows.select(index), self.clean[index])
