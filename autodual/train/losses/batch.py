"""One batch as all parts of a loss see it: what several of them need is computed once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from autodual.attacks import Attack
from autodual.inputs import Labels, Samples, sample_tensor
from autodual.interval import Interval
from autodual.network import DualNetwork, given_network
from autodual.network.result import DualResult
from autodual.objective import Objective
from autodual.perturbations import PerturbationSet, perturbation_set
from autodual.policies import InnerBounds, LastBound, SlopePolicy
from autodual.specs import ClassMargin, LabelMap
from autodual.train.clean_pass import CleanPass, clean_pass, learning_norms, normalised_pass
from autodual.train.losses.criteria import Criterion
from autodual.train.randomness import warn_of_randomness


@dataclass(eq=False)
class Batch:
    """Samples x `[N, *shape]` with labels `[N]`, or label maps `[N, *positions]`, and the set around each of them.

    Each module acts as in the mode that it is in. Batch norms in training mode learn from the clean batch, once, and
    normalise everything by its statistics: bounds and attacks too. That is the thesis' heuristic: such bounds are those
    of a network that inference does not run, and no guarantee. Scores, clean or of other points, are those of the
    model itself, with dropout while it trains; bounds and the attack's search leave dropout out. In evaluation mode all
    are those of the network that inference runs, and nothing learns.

    known: intervals of nodes proved elsewhere, which bounds then assume.
    """

    dual: DualNetwork
    x: Tensor
    labels: Tensor
    ball: PerturbationSet
    known: Mapping[str, Interval] | None = None
    _found: dict[tuple[str, str, str], DualResult] = field(default_factory=dict)
    _fits: bool = False

    @classmethod
    def of(
        cls,
        dual: DualNetwork,
        x: Samples,
        labels: Labels,
        ball: PerturbationSet,
        known: Mapping[str, Interval] | None = None,
    ) -> Batch:
        """A batch of what a user gives: arrays too, and labels as lists."""
        dual, x = given_network(dual), sample_tensor(x)
        return cls(dual, x, LabelMap.of(labels, dual.class_axis).labels.to(x.device), perturbation_set(ball), known)

    @cached_property
    def clean(self) -> CleanPass:
        """The ordinary pass of the model in the mode it is in; in evaluation mode nothing learns from it."""
        if self._trains:
            return clean_pass(self.dual.model, self.x)
        return CleanPass(self.dual.outputs(self.x), {})

    def margins(
        self, *, inner: InnerBounds = "dual", last: LastBound = "dual", slopes: SlopePolicy = "shared"
    ) -> Tensor:
        """Lower bounds of f_y - f_j over the set, in the layout of the outputs."""
        lower = self._others.complete(self._bounds(inner, last, slopes).lower)
        return lower.reshape(len(self.x), *self.dual.output_shape(self.x))

    def losses(self, criterion: Criterion, scores: Tensor) -> Tensor:
        """Losses `[N]` of scores (or negated margins) in the layout of the outputs, by their labels."""
        if not self._fits:  # once a batch, since it waits for the device
            self._goal.label_map.check(scores)
            self._fits = True
        return criterion(scores.movedim(self.dual.class_axis, 1), self.labels)

    def intervals(self) -> list[Interval]:
        """The interval of every bound site, nearest to the input first, by interval arithmetic."""
        return list(self._bounds("interval", "interval", "shared").intervals.values())

    @cached_property
    def _goal(self) -> ClassMargin:
        return ClassMargin(self.labels, self.dual.class_axis)

    @cached_property
    def _others(self) -> Objective:
        rows = self.dual.label_rows(self.x, self.labels)
        self._fits = True
        return rows

    def _bounds(self, inner: InnerBounds, last: LastBound, slopes: SlopePolicy) -> DualResult:
        """Bounds of the margins, and of the sites where no others are computed beside them."""
        asked = (inner, last, slopes)
        if asked not in self._found:
            if self._trains:
                warn_of_randomness(self.dual.model, self.x)
            objective, options = self._others, {"inner": inner, "last": last, "slopes": slopes}
            with self._normalised():
                self._found[asked] = self.dual(
                    self.x, self.ball, objective, known=self.known, sites=last == "interval", **options
                )
        return self._found[asked]

    def scores(self, points: Tensor) -> Tensor:
        """Scores of other points than the samples; nothing learns from them."""
        if self._trains:
            return normalised_pass(self.dual.model, points, self.clean.statistics if self._learns else {})
        return self.dual.outputs(points)

    def attacked(self, attack: Attack, ball: PerturbationSet) -> Tensor:
        """The worst points `[N, *shape]` of another set around the samples that an attack finds.

        Its random starts are the next numbers of torch's generator.
        """
        seed = int(torch.randint(2**62, ()))
        generator = torch.Generator(self.x.device).manual_seed(seed)
        # The clean pass comes first: its gradients are wanted, those of the search are not.
        with self._normalised(), torch.no_grad():
            return attack.run(self.dual.outputs, ball.at(self.x), self._goal, generator)

    def around(self, points: Tensor, ball: PerturbationSet) -> Batch:
        """The same labels and normalisation, with another set around other points."""
        moved = Batch(self.dual, points, self.labels, ball, _fits=self._fits)
        if self._learns:
            moved.__dict__["clean"] = self.clean
        return moved

    @cached_property
    def _learns(self) -> bool:
        return bool(learning_norms(self.dual.model))

    @property
    def _trains(self) -> bool:
        """Whether any module is in training mode."""
        return any(module.training for module in self.dual.model.modules())

    def _normalised(self) -> AbstractContextManager[None]:
        """Inside, the dual network's batch norms use this batch's statistics, if they learn from it."""
        return self.dual.substituting(self.clean.statistics if self._learns else {})
