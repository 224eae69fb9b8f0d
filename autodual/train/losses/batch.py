"""One batch as all parts of a loss see it: what several of them need is computed once."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from typing_extensions import Unpack

from autodual.attacks import Attack
from autodual.inputs import Labels, Samples, sample_tensor
from autodual.interval import Interval
from autodual.network import Ask, DualNetwork, given_network
from autodual.network.ask import DUAL_BOUNDS, PolicyOptions
from autodual.network.keywords import takes
from autodual.network.result import DualResult
from autodual.objective import Objective
from autodual.perturbations import PerturbationSet, perturbation_set
from autodual.specs import ClassMargin, LabelMap
from autodual.train.clean_pass import CleanPass, clean_pass, learning_norms, normalised_pass
from autodual.train.losses.criteria import Criterion
from autodual.train.randomness import warn_of_randomness

_INTERVALS = Ask(slopes="shared", inner="interval", last="interval")


@dataclass(eq=False)
class Batch:
    """Samples x `[N, *shape]` with labels `[N]`, or label maps `[N, *positions]`, and the set around each of them.

    Each module acts as in the mode that it is in. Batch norms in training mode learn from the clean batch, once, and
    normalise everything by its statistics: bounds and attacks too. That is the thesis' heuristic: such bounds are those
    of a network that inference does not run, and no guarantee. Scores, clean or of other points, are those of the
    model itself, with dropout while it trains; bounds and the attack's search leave dropout out. In evaluation mode all
    are those of the network that inference runs, and nothing learns.

    ask: what all bounds of the batch have in common, such as known intervals.
    """

    dual: DualNetwork
    x: Tensor
    labels: Tensor
    ball: PerturbationSet
    ask: Ask = field(default_factory=Ask)
    _found: dict[tuple[object, ...], DualResult] = field(default_factory=dict)
    _fits: bool = False

    @classmethod
    def of(cls, dual: DualNetwork, x: Samples, labels: Labels, ball: PerturbationSet, ask: Ask | None = None) -> Batch:
        """A batch of what a user gives: arrays too, and labels as lists."""
        dual, x = given_network(dual), sample_tensor(x)
        labels = LabelMap.of(labels, dual.class_axis).labels.to(x.device)
        return cls(dual, x, labels, perturbation_set(ball), ask or Ask())

    @cached_property
    def clean(self) -> CleanPass:
        """The ordinary pass of the model in the mode it is in; in evaluation mode nothing learns from it."""
        if self._trains:
            return clean_pass(self.dual.model, self.x)
        return CleanPass(self.dual.outputs(self.x), {})

    @takes(PolicyOptions)
    def margins(self, **options: Unpack[PolicyOptions]) -> Tensor:
        """Lower bounds of f_y - f_j over the set, in the layout of the outputs.

        Args:
            slopes: as in `Ask`, like `inner` and `last`: by default what the batch's ask says, or else `shared` slopes
                and `dual` bounds.
        """
        lower = self._others.complete(self._bounds(Ask.of(None, options, Batch.margins)).lower)
        return lower.reshape(len(self.x), *self.dual.output_shape(self.x))

    def losses(self, criterion: Criterion, scores: Tensor) -> Tensor:
        """Losses `[N]` of scores (or negated margins) in the layout of the outputs, by their labels."""
        if not self._fits:  # once a batch, since it waits for the device
            self._goal.label_map.check(scores)
            self._fits = True
        return criterion(scores.movedim(self.dual.class_axis, 1), self.labels)

    def intervals(self) -> list[Interval]:
        """The interval of every bound site, nearest to the input first, by interval arithmetic."""
        return list(self._bounds(_INTERVALS).intervals.values())

    @cached_property
    def _goal(self) -> ClassMargin:
        return ClassMargin(self.labels, self.dual.class_axis)

    @cached_property
    def _others(self) -> Objective:
        rows = self.dual.label_rows(self.x, self.labels)
        self._fits = True
        return rows

    def _bounds(self, policies: Ask) -> DualResult:
        """Bounds of the margins, and of the sites where no others are computed beside them."""
        ask = policies.over(self.ask).over(DUAL_BOUNDS)
        key = (ask.slopes, ask.inner, ask.last)
        if key not in self._found:
            if self._trains:
                warn_of_randomness(self.dual.model, self.x)
            objective = self._others
            with self._normalised():
                self._found[key] = self.dual(self.x, self.ball, objective, ask=ask, sites=ask.last == "interval")
        return self._found[key]

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
