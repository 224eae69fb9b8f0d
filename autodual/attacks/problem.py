"""What an attack works on: a function, the set that it may search, and what should hold of the outputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from autodual.attacks.base import Function, outputs_at
from autodual.attacks.network_runs import NetworkRun
from autodual.attacks.replayed_runs import NetworkRuns
from autodual.perturbations import Searchable, require_searchable
from autodual.specs import Rows, Specification
from autodual.tensors import flat


@dataclass(frozen=True, eq=False)
class Problem:
    """N samples under attack. What no one asks for is not computed: training on an attack wants no nominal outputs."""

    function: Function
    region: Searchable
    specification: Specification
    runs: NetworkRuns

    @classmethod
    def of(cls, function: Function, region: Searchable, specification: Specification) -> Problem:
        """Checks that the region can be searched; does not run the function."""
        require_searchable(region)
        return cls(function, region, specification, NetworkRuns(function))

    @cached_property
    def _nominal(self) -> Tensor:
        """The outputs f(x) `[N, *shape]`."""
        with torch.no_grad():
            return outputs_at(self.function, self.region.centre)

    @cached_property
    def clean(self) -> Tensor:
        """The nominal outputs, flattened, `[N, K]`."""
        return flat(self._nominal)

    @cached_property
    def rows(self) -> Rows:
        """The specification's half-spaces; `outputs` makes them where any outputs will do."""
        return self.specification.rows(self._nominal)

    def outputs(self, points: Tensor) -> Tensor:
        """`[N, K]`. The first ones are checked to be what the specification is about."""
        return self._checked(outputs_at(self.function, points))

    def run(self, points: Tensor) -> tuple[Tensor, NetworkRun]:
        """The same, without a graph, and the run that they are of."""
        run = self.runs.at(points)
        return self._checked(run.outputs), run

    def _checked(self, found: Tensor) -> Tensor:
        if "rows" not in self.__dict__ and not self.specification.relative:
            self.__dict__["rows"] = self.specification.rows(found.detach())
        return flat(found)

    def margin(self, outputs: Tensor) -> Tensor:
        """`[N]`; negative where the outputs `[N, K]` refute the specification."""
        return self.specification.margin_of(self.rows, outputs)

    def suspicious(self, outputs: Tensor) -> bool:
        """Whether any of the outputs `[N, K]` may refute the specification; without a doubt no if False."""
        return bool(self.specification.suspects(self.rows, outputs).any())

    @cached_property
    def mixture(self) -> tuple[tuple[float, Problem], ...]:
        """The problem of each statement of the specification's mixture, and its share."""
        if len(self.specification.mixture) == 1:
            return ((1.0, self),)
        return tuple((share, self._about(one)) for share, one in self.specification.mixture)

    def _about(self, specification: Specification) -> Problem:
        part = Problem(self.function, self.region, specification, self.runs)
        if "_nominal" in self.__dict__:
            part.__dict__["_nominal"] = self._nominal
        return part

    def within(self, region: Searchable) -> Problem:
        """The same problem in another set around the samples."""
        if region is self.region:
            return self
        other = Problem(self.function, region, self.specification, self.runs)
        known = self.__dict__
        other.__dict__.update({name: known[name] for name in ("_nominal", "rows") if name in known})
        return other

    def select(self, index: Tensor) -> Problem:
        """The problem of some of the samples, by a LongTensor."""
        part = Problem(self.function, self.region.select(index), self.specification.select(index), self.runs)
        known = self.__dict__
        if "_nominal" in known:
            part.__dict__["_nominal"] = self._nominal[index]
        if "rows" in known:
            part.__dict__["rows"] = self.rows.select(index)
        return part
