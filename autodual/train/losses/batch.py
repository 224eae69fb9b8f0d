"""One batch as all parts of a loss see it: what several of them need is computed once."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from autodual.attacks import Attack
from autodual.interval import Interval
from autodual.network import DualNetwork
from autodual.network.result import DualResult
from autodual.perturbations import PerturbationSet
from autodual.policies import InnerBounds, LastBound, SlopePolicy
from autodual.specs import ClassMargin, OtherClasses
from autodual.train.clean_pass import CleanPass, clean_pass, tracking_norms


@dataclass(eq=False)
class Batch:
    """Samples x `[N, *shape]` with labels `[N]`, and the set around each of them.

    While the model is in training mode, its batch norms normalise everything, bounds and attacks too, by the clean
    batch's statistics. That is the thesis' heuristic: such bounds are those of a network that inference does not run,
    and no guarantee. In evaluation mode all use the running statistics.
    """

    dual: DualNetwork
    x: Tensor
    labels: Tensor
    ball: PerturbationSet
    _found: dict[tuple[str, str, str], DualResult] = field(default_factory=dict)

    @cached_property
    def clean(self) -> CleanPass:
        """The ordinary pass of the model in the mode it is in; in evaluation mode nothing learns from it."""
        if self.dual.model.training:
            return clean_pass(self.dual.model, self.x)
        return CleanPass(self.dual.outputs(self.x), {})

    def margins(
        self, *, inner: InnerBounds = "dual", last: LastBound = "dual", slopes: SlopePolicy = "shared"
    ) -> Tensor:
        """Lower bounds `[N, K]` of f_y - f_j over the set."""
        return self._others.margins(self._bounds(inner, last, slopes).lower)

    def intervals(self) -> list[Interval]:
        """The interval of every bound site, nearest to the input first, by interval arithmetic."""
        return list(self._bounds("interval", "interval", "shared").intervals.values())

    @cached_property
    def _others(self) -> OtherClasses:
        graph = self.dual.compiled(self.x).plan.graph
        return OtherClasses(self.labels, graph[graph.outputs[0]].size)

    def _bounds(self, inner: InnerBounds, last: LastBound, slopes: SlopePolicy) -> DualResult:
        """Bounds of the margins, and of the sites where no others are computed beside them."""
        asked = (inner, last, slopes)
        if asked not in self._found:
            objective = self._others.objective(self.x)
            with self._normalised():
                self._found[asked] = self.dual(
                    self.x, self.ball, objective, inner=inner, last=last, slopes=slopes, sites=last == "interval"
                )
        return self._found[asked]

    def scores(self, points: Tensor) -> Tensor:
        """Scores `[N, K]` of other points than the samples; nothing learns from them."""
        with self._normalised():
            return self.dual.outputs(points)

    def attacked(self, attack: Attack, ball: PerturbationSet) -> Tensor:
        """The worst points `[N, *shape]` of another set around the samples that an attack finds.

        Its random starts are the next numbers of torch's generator.
        """
        seed = int(torch.randint(2**62, ()))
        generator = torch.Generator(self.x.device).manual_seed(seed)
        with torch.no_grad(), self._normalised():
            return attack.run(self.dual.outputs, ball.at(self.x), ClassMargin(self.labels), generator)

    def around(self, points: Tensor, ball: PerturbationSet) -> Batch:
        """The same labels and normalisation, with another set around other points."""
        moved = Batch(self.dual, points, self.labels, ball)
        if self._learns:
            moved.__dict__["clean"] = self.clean
        return moved

    @cached_property
    def _learns(self) -> bool:
        return self.dual.model.training and bool(tracking_norms(self.dual.model))

    def _normalised(self) -> AbstractContextManager[None]:
        """Inside, the dual network's batch norms use this batch's statistics, if they learn from it."""
        return self.dual.substituting(self.clean.statistics if self._learns else {})
