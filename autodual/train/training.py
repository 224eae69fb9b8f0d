"""The training loop, one step at a time: whoever drives it decides when to save and when to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from autodual.errors import ModelFileError, TrainingError
from autodual.files.architecture import build
from autodual.train.captured_steps import CapturedSteps, Number
from autodual.train.checkpoint import RunFolder
from autodual.train.collapse import CollapseWatch, require_good
from autodual.train.curves import LabelledSamples, LearningCurves
from autodual.train.earlier_checkpoints import completed
from autodual.train.epoch_end import EpochEnd
from autodual.train.initialisation import initialise_for_intervals
from autodual.train.mixed_labels import MixedLabels
from autodual.train.mixed_precision import MixedPrecision
from autodual.train.network_selection import Selection
from autodual.train.optimisation import Penalty, make_optimiser
from autodual.train.preparation import check_fit, describe_network, dual_to_train, fast_layout
from autodual.train.recipe import Recipe
from autodual.train.run_state import RunState
from autodual.train.samples import Samples, augmented
from autodual.train.saved_state import Unfit
from autodual.train.training_progress import Progress
from autodual.train.weight_average import average_of
from autodual.world import World


class Training:
    """One run of a recipe on samples, in a folder.

    Drive it by `while not training.done: training.step()`; it saves itself at the end of each epoch and every
    `seconds_between_saves`. A run resumed from a save (`resume=True`) takes the same steps as one that was never
    stopped, bit by bit on the same processor with the same number of threads. Do not change its network between steps.

    test: samples for learning curves; no step and no choice depends on them. stage: the number of the cascade's stage,
    from 1; each stage draws other random numbers.
    """

    def __init__(
        self,
        recipe: Recipe,
        samples: Samples,
        folder: RunFolder,
        *,
        factory: Callable[[], nn.Module] | None = None,
        world: World | None = None,
        test: LabelledSamples | None = None,
        stage: int = 1,
        resume: bool = False,
        seconds_between_saves: float = 60.0,
    ):
        self.recipe, self.folder, self.world = recipe, folder, world or World()
        self.samples, self._seed = samples, recipe.seed + 1_000_003 * (stage - 1)
        torch.manual_seed(self._seed)
        self.description = describe_network(recipe, self.samples.x, self.samples.classes)
        self.network = self.description.build() if factory is None else build(factory)
        if recipe.network.initialisation == "interval":
            initialise_for_intervals(self.network)
        self.network.to(samples.x.device)
        self.dual = dual_to_train(recipe, self.description, self.network, self.samples.x)
        check_fit(recipe, self.dual, samples, self.world)
        self.optimiser = make_optimiser(self.network, recipe.optimiser)
        self.precision = MixedPrecision(recipe.precision, samples.x.device)
        self.penalty = Penalty(self.network, recipe.optimiser.l1)
        self.average = average_of(self.dual.model, recipe.optimiser)
        self.progress = Progress()
        self.selection = Selection()
        self.carried = recipe.loss.carries(self._largest_batch())
        captures = recipe.execution != "eager"
        self._graphs = CapturedSteps(recipe, self.dual, self._loss_with) if captures else None
        watch = None
        if recipe.watches:
            watch = CollapseWatch(recipe, samples, self.dual, self.average, self.world, self._seed)
        self._state = RunState(
            recipe,
            samples,
            self.network,
            self.dual,
            self.optimiser,
            self.precision,
            self.average,
            watch,
            self.carried,
            self.world,
        )
        curves = LearningCurves.of(recipe, self.dual, self.world, samples, test)
        self._end = EpochEnd(
            recipe, samples, self.dual, self.description, self.average, watch, curves, folder, self.world
        )
        self._order: tuple[int, Tensor] | None = None
        self._seconds_between_saves, self._saved = seconds_between_saves, time.monotonic()
        # All processes draw the same random numbers up to here, and their own from here on.
        torch.manual_seed(self._seed + 7919 * self.world.rank)
        if resume:
            self._load(folder.load())

    # --- where the run is -------------------------------------------------------------------------------------------

    @property
    def steps_an_epoch(self) -> int:
        """How many batches a pass over the data has."""
        return self.samples.batches(self.recipe.batch_size, self.world.size)

    @property
    def replays(self) -> int:
        """How often the optimiser steps on each batch. A pass over the data counts as so many epochs."""
        return self.recipe.loss.steps_a_batch()

    @property
    def passes(self) -> int:
        """How many passes over the data the whole run takes."""
        return self.recipe.length // self.replays

    @property
    def steps(self) -> int:
        """How many batches the whole run takes."""
        return self.steps_an_epoch * self.passes

    @property
    def epoch(self) -> float:
        """How many epochs are done, the present one as a fraction."""
        return self.progress.step / self.steps_an_epoch * self.replays

    @property
    def seen(self) -> int:
        """How many samples the steps so far have used; those that were used several times count several times."""
        passes, number = divmod(self.progress.step, self.steps_an_epoch)
        return (passes * self._a_pass + number * self.recipe.batch_size) * self.replays

    @property
    def to_see(self) -> int:
        """How many samples the steps of the whole run use."""
        return self.passes * self._a_pass * self.replays

    @property
    def _a_pass(self) -> int:
        """How many samples the batches of a pass over the data hold."""
        return self.samples.an_epoch(self.recipe.batch_size, self.world.size)

    @property
    def done(self) -> bool:
        """Whether there is no step left, or patience has run out."""
        return self.progress.step >= self.steps or self.progress.stopped

    # --- one step ---------------------------------------------------------------------------------------------------

    def step(self, *, stop: bool = False) -> bool:
        """Step on one batch; after the last one of a pass over the data also validate, log and save.

        stop: save now, since this process will stop. Returns whether any of the processes said so. Raises TrainingError
        where the loss is not finite; earlier saves stay.
        """
        start = time.monotonic()
        whole = self._batch()
        mine = self.world.share(whole)
        loss = self._descend(mine, len(mine) / len(whole))
        due = self.world.first and start - self._saved > self._seconds_between_saves
        total, count, stops, dues = self.world.total([loss * len(mine), len(mine), stop, due])
        self.progress.add(total, count, time.monotonic() - start)
        if self.progress.step % self.steps_an_epoch == 0:
            self._finish_epoch()
        elif stops or dues:
            self._require_finite()
            self.save()
        return bool(stops)

    def _batch(self) -> Tensor:
        """Indices of the next batch."""
        epoch, number = divmod(self.progress.step, self.steps_an_epoch)
        if self._order is None or self._order[0] != epoch:
            order = self.samples.order(self._seed, epoch, self.recipe.batch_size, self.world.size)
            self._order = epoch, order
        size, last = self.recipe.batch_size, number == self.steps_an_epoch - 1
        return self._order[1][number * size : None if last else (number + 1) * size]

    def _descend(self, indices: Tensor, weight: float) -> float:
        """Step on some samples, `weight` of the batch, as often as the loss replays a batch; returns the mean loss."""
        self.dual.train()
        x, y = self._drawn(indices)
        values = [
            self._take_step(x, y, weight, self.epoch + replay / self.steps_an_epoch) for replay in range(self.replays)
        ]
        return sum(values) / len(values)

    def _take_step(self, x: Tensor, y: Tensor | MixedLabels, weight: float, epoch: float) -> float:
        """One step down the gradient of the mean loss of samples, with all schedules as they are at an epoch."""
        recipe, optimiser = self.recipe, self.recipe.optimiser
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.learning_rate(epoch)
        self.optimiser.zero_grad()
        value = 0.0
        if len(x):
            loss = self._loss(epoch, x, y) if self._graphs is None else self._graphs.descend(epoch, x, y)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise self._diverged(f"the loss is {value}", int(epoch))
            if self._graphs is None:
                self.precision.backward(loss)
        self.world.add_gradients(self.network, weight)
        self.precision.unscale(self.optimiser)
        self.penalty.add_gradients()
        if optimiser.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), optimiser.clip)
        self.precision.step(self.optimiser)
        if self.average is not None:
            self.average.update(self.dual.model, epoch + 1 / self.steps_an_epoch)
        return value

    def _drawn(self, indices: Tensor) -> tuple[Tensor, Tensor | MixedLabels]:
        """Some samples, changed at random as the recipe says, and their labels."""
        x, labels = augmented(*self.samples.at(indices), self.recipe.data)
        return fast_layout(x), labels

    def _largest_batch(self) -> Tensor:
        """A tensor like the samples of this process's share of a largest batch."""
        share = self.samples.largest_share(self.recipe.batch_size, self.world.size)
        return fast_layout(self.samples.x.new_zeros(share, *self.samples.x.shape[1:]))

    def _require_finite(self) -> None:
        """Raise TrainingError if a weight is infinite or NaN, so that none such is saved."""
        for value in self.network.state_dict().values():
            if not bool(value.isfinite().all()):
                raise self._diverged(
                    "a step has made weights infinite or NaN",
                    (self.progress.step - 1) // self.steps_an_epoch * self.replays,
                )

    def _diverged(self, what: str, epoch: int) -> TrainingError:
        return TrainingError(
            f"{what} in epoch {epoch + 1}: lower the learning rate, clip gradients, or let the radius grow more slowly"
        )

    def _loss(self, epoch: float, x: Tensor, y: Tensor | MixedLabels) -> Tensor:
        """The mean loss of samples, with all schedules as they are at an epoch."""
        return self._loss_with(x, y, self.recipe.radius(epoch), self.recipe.numbers_at(epoch))

    def _loss_with(self, x: Tensor, y: Tensor | MixedLabels, radius: Number, numbers: Mapping[str, Number]) -> Tensor:
        """The mean loss of samples with such a share of the radius, and these numbers of the loss."""
        loss, ball = self.recipe.loss_with(radius, numbers), self.recipe.ball(radius)
        with self.precision.passes():
            return loss(self.dual, x, y, ball, carried=self.carried)

    # --- the end of an epoch ----------------------------------------------------------------------------------------

    def _finish_epoch(self) -> None:
        self._require_finite()
        self.world.average([*self.network.buffers(), *(self.average.tensors.values() if self.average else ())])
        self._end.finish(self.progress, self.selection, round(self.epoch))
        self.save()

    # --- saving and resuming ----------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint; all processes must call it together."""
        self._saved = time.monotonic()
        state = self._state.gathered(self.progress, self.selection)
        if self.world.first:
            self.folder.save(state)

    def _load(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint. All of it is checked before any of it is used.

        Raises InvalidInputError if it belongs to another run, and ModelFileError if it is damaged.
        """
        state = completed(state, self.recipe, self._end.columns, self.world.size)
        try:
            self._state.check(self.folder, state)
            length = self.steps, self.steps_an_epoch
            progress = Progress.of(state["progress"], *length, self._end.columns, self.replays)
            require_good(state["good"], self._state.watch, progress.rows)
            selection = Selection.of(state["selection"])
            self._state.restore(state)
        except Unfit as error:
            raise ModelFileError(f"'{self.folder.checkpoint}' is damaged: {error}.") from None
        self.progress, self.selection = progress, selection
