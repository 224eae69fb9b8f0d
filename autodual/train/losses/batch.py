"""One batch, shared by all parts of a loss: what several of them need is computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor
from typing_extensions import Unpack

from autodual.attacks import Attack, attack_members
from autodual.attacks.base import Function
from autodual.errors import InvalidInputError
from autodual.inputs import Labels, Samples, sample_tensor
from autodual.interval import Interval
from autodual.network import Ask, DualNetwork, given_network
from autodual.network.ask import DUAL_BOUNDS
from autodual.network.ask_options import PolicyOptions, ProofOptions
from autodual.network.keywords import takes
from autodual.network.result import DualResult
from autodual.objective import Objective
from autodual.perturbations import PerturbationSet, perturbation_set
from autodual.specs import ClassMargin, LabelMap
from autodual.train.attack_view import AttackMode, seen_network
from autodual.train.clean_pass import CleanPass, clean_pass, learning_norms, learning_pass, normalised_pass
from autodual.train.epoch_randomness import warn_of_randomness
from autodual.train.losses.criteria import Criterion
from autodual.train.mixed_labels import MixedLabels, MixedMargin

#: Which loss counts over a union of sets: of each sample that of the worst member, or the average of all members'.
UnionPolicy = Literal["worst", "average"]

#: What batch norms in training mode normalise bounds and attacks by: the clean batch's own statistics, or the running
#: ones, which the clean batch has just updated.
StatisticsPolicy = Literal["batch", "running"]

#: The name under which a perturbation is carried from batch to batch.
OFFSET = "offset"

_INTERVALS = Ask(slopes="shared", inner="interval", last="interval")


@dataclass(eq=False)
class Batch:
    """Samples x `[N, *shape]` with labels `[N]`, or label maps `[N, *positions]`, and the set around each of them.

    Each module acts according to its mode. Of losses with bounds, batch norms in training mode update their running
    statistics from the clean batch, once, and normalise everything by the batch's own statistics, bounds and attacks
    included. This is the thesis' heuristic: such bounds belong to a network that inference does not run, and are no
    guarantee. With `statistics` "running" everything but the clean scores is normalised by the running statistics
    instead, which the clean batch has updated by then, and through which no gradient goes: these bounds belong to the
    network that inference would run now. Scores, clean or of other points, come from the model itself, with dropout
    while it trains; bounds leave dropout out. Losses without bounds learn from the points that they are trained on
    (`trained`). In evaluation mode everything belongs to the network that inference runs, and nothing is updated.

    ask: what all bounds of the batch have in common, such as known intervals. carried: what losses remember from batch
    to batch, by name. mixed: what mixup has made of the labels, the first of which are `labels`.
    """

    dual: DualNetwork
    x: Tensor
    labels: Tensor
    ball: PerturbationSet
    ask: Ask = field(default_factory=Ask)
    carried: dict[str, Tensor] = field(default_factory=dict)
    mixed: MixedLabels | None = None
    statistics: StatisticsPolicy = "batch"
    _found: dict[tuple[object, ...], DualResult] = field(default_factory=dict)
    _fits: bool = False

    @classmethod
    @takes(ProofOptions)
    def of(
        cls,
        dual: DualNetwork,
        x: Samples,
        labels: Labels | MixedLabels,
        ball: PerturbationSet,
        *,
        carried: dict[str, Tensor] | None = None,
        statistics: StatisticsPolicy = "batch",
        ask: Ask | None = None,
        **options: Unpack[ProofOptions],
    ) -> Batch:
        """A batch made of what a user passes: tensors, arrays or lists.

        Args:
            dual: the dual network.
            x: samples `[N, *shape]`.
            labels: `[N]`, or label maps `[N, *positions]`, or mixed labels, for losses without bounds.
            ball: the set around each sample.
            carried: what losses remember from batch to batch; the same table for each batch of a run.
            statistics: what batch norms that learn normalise bounds and attacks by.
        """
        ask = Ask.of(ask, options, Batch.of)
        dual, x = given_network(dual), sample_tensor(x)
        mixed = labels.to(x.device) if isinstance(labels, MixedLabels) else None
        own = LabelMap.of(labels if mixed is None else mixed.parts[0][1], dual.class_axis).labels.to(x.device)
        return cls(dual, x, own, perturbation_set(ball), ask, {} if carried is None else carried, mixed, statistics)

    @cached_property
    def clean(self) -> CleanPass:
        """The model's pass over the samples, in its own mode; computed once, so that batch norms are updated once."""
        if self._trains:
            return clean_pass(self.dual.model, self.x)
        return CleanPass(self.dual.outputs(self.x), {})

    @takes(PolicyOptions)
    def margins(self, **options: Unpack[PolicyOptions]) -> Tensor:
        """Lower bounds of f_y - f_j over the set, in the layout of the outputs.

        Args:
            slopes: as in `Ask`, like `inner`, `last` and `balls`: by default what the batch's ask says, or else
                `shared` slopes and `dual` bounds without balls.
        """
        lower = self._others.complete(self._bounds(Ask.of(None, options, Batch.margins)).lower)
        return lower.reshape(len(self.x), *self.dual.output_shape(self.x))

    def losses(self, criterion: Criterion, scores: Tensor) -> Tensor:
        """Losses `[N]` of scores (or negated margins) in the layout of the outputs, by their labels."""
        if not self._fits:  # once a batch, since it waits for the device
            self._goal.label_map.check(scores)
            self._fits = True
        scores = scores.movedim(self.dual.class_axis, 1)
        if self.mixed is None:
            return criterion(scores, self.labels)
        return torch.stack([share * criterion(scores, labels) for share, labels in self.mixed.parts]).sum(0)

    def intervals(self) -> list[Interval]:
        """The interval of every bound site, nearest to the input first, by interval arithmetic."""
        return list(self._bounds(_INTERVALS).intervals.values())

    @cached_property
    def _goal(self) -> ClassMargin:
        axis = self.dual.class_axis
        return ClassMargin(self.labels, axis) if self.mixed is None else MixedMargin.of(self.mixed, axis)

    @cached_property
    def _others(self) -> Objective:
        if self.mixed is not None:
            raise InvalidInputError("bounds are for one label a sample: take labels that are not mixed")
        rows = self.dual.label_rows(self.x, self.labels)
        self._fits = True
        return rows

    def _bounds(self, policies: Ask) -> DualResult:
        """Bounds of the margins; where interval arithmetic computes them, the intervals of the bound sites too."""
        ask = policies.over(self.ask).over(DUAL_BOUNDS)
        key = (ask.slopes, ask.inner, ask.last, ask.balls)
        if key not in self._found:
            if self._trains:
                warn_of_randomness(self.dual.model, self.x)
            objective = self._others
            with self._normalised():
                self._found[key] = self.dual(self.x, self.ball, objective, ask=ask, sites=ask.last == "interval")
        return self._found[key]

    def scores(self, points: Tensor) -> Tensor:
        """Scores of other points than the samples; they update no running statistics."""
        if self._trains:
            return normalised_pass(self.dual.model, points, self._chosen_statistics())
        return self.dual.outputs(points)

    def trained(self, points: Tensor) -> Tensor:
        """Scores of the points that the batch is trained on, by the model in its own mode; its batch norms learn from
        them, so that this should be called once.
        """
        return learning_pass(self.dual.model, points) if self._trains else self.dual.outputs(points)

    def seen(self, mode: AttackMode) -> AbstractContextManager[Function]:
        """Inside, a function from points to scores that teaches the network nothing, as an attack sees it."""
        return seen_network(self.dual.model, mode) if self._trains else nullcontext(self.dual.outputs)

    def attacked(self, attack: Attack, ball: PerturbationSet, mode: AttackMode | None = None) -> Tensor:
        """The worst points `[N, *shape]` that an attack finds in another set around the samples.

        The seed of its random numbers comes from torch's generator.

        Args:
            attack: any attack.
            ball: the set, around each sample.
            mode: how the attack sees the network; None: normalised by the clean batch, as bounds are.
        """
        region, generator = ball.at(self.x), self.generator()
        # In this order, since `_normalised` may run the clean pass, which needs gradients; the search needs none.
        with self._clean_view() if mode is None else self.seen(mode) as function, torch.no_grad():
            found = attack_members(attack, function, region, self._goal, generator)
        self._fits = True  # an attack checks the labels
        if torch.is_autocast_enabled(self.x.device.type):
            torch.clear_autocast_cache()  # of weights that were cast where nothing took gradients
        return found

    def generator(self) -> torch.Generator:
        """A generator on the samples' device, whose seed comes from torch's own."""
        return torch.Generator(self.x.device).manual_seed(int(torch.randint(2**62, ())))

    @property
    def offset(self) -> Tensor:
        """The perturbation carried from batch to batch, of as many samples as this batch has; it begins at zero."""
        count, known = len(self.x), self.carried.get(OFFSET, self.x[:0])
        if len(known) < count:
            known = torch.cat([known, torch.zeros_like(self.x[len(known) :])])
            self.carried[OFFSET] = known
        return known[:count]

    def carry(self, points: Tensor) -> None:
        """Carry the perturbation that makes these points of the samples on to the next batch."""
        self.offset.copy_(points - self.x)

    def around(self, points: Tensor, ball: PerturbationSet) -> Batch:
        """The same labels and normalisation, with another set around other points."""
        return self._moved(points, ball, Ask())

    @cached_property
    def members(self) -> tuple[Batch, ...]:
        """The same samples with each member of a union as their set; the batch alone if the set is no union."""
        sets = self.ball.members()
        return (self,) if len(sets) == 1 else tuple(self._moved(self.x, member, self.ask) for member in sets)

    def over_members(self, loss: Callable[[Batch], Tensor], union: UnionPolicy) -> Tensor:
        """Losses `[N]` over the members of a union: of each sample the `worst`, or the `average`."""
        found = [loss(member) for member in self.members]
        if len(found) == 1:
            return found[0]
        return torch.stack(found).amax(0) if union == "worst" else torch.stack(found).mean(0)

    def _moved(self, points: Tensor, ball: PerturbationSet, ask: Ask) -> Batch:
        same = self.carried, self.mixed, self.statistics
        moved = Batch(self.dual, points, self.labels, ball, ask, *same, _fits=self._fits)
        if self.learns:
            moved.__dict__["clean"] = self.clean
        return moved

    @cached_property
    def learns(self) -> bool:
        """Whether any batch norm is updated by this batch."""
        return bool(learning_norms(self.dual.model))

    @property
    def _trains(self) -> bool:
        """Whether any module is in training mode."""
        return any(module.training for module in self.dual.model.modules())

    @contextmanager
    def _clean_view(self) -> Iterator[Function]:
        with self._normalised():
            yield self.dual.outputs

    def _normalised(self) -> AbstractContextManager[None]:
        """Inside, the dual network's batch norms use the chosen statistics, if they are in training mode."""
        return self.dual.substituting(self._chosen_statistics())

    def _chosen_statistics(self) -> dict[str, Tensor]:
        """What takes the place of running statistics, after the clean batch has updated these; empty for nothing."""
        if not self.learns:
            return {}
        found = self.clean.statistics
        return found if self.statistics == "batch" else {}
