"""The end of an epoch: validate, choose, measure, log, and take a collapse back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from autodual.architectures import NetworkDescription
from autodual.files.network_file import NetworkFile
from autodual.network import DualNetwork
from autodual.train.checkpoint import RunFolder
from autodual.train.collapse import COLLAPSED, READING, CollapseWatch
from autodual.train.curves import LearningCurves
from autodual.train.journal import Figures, log_text
from autodual.train.network_selection import Selection
from autodual.train.recipe import Recipe
from autodual.train.samples import Samples
from autodual.train.trained_network import trained_network
from autodual.train.training_progress import Progress
from autodual.train.validation import Errors, validate
from autodual.train.weight_average import Average
from autodual.world import World


@dataclass(frozen=True, eq=False)
class EpochEnd:
    """What a run does with its network after the last step of each epoch.

    average: averaged weights, which are then what is validated, measured and kept; None: the network's own. watch: for
    catastrophic overfitting, or None. curves: measured once the epoch's choice has been made, which cannot follow them.
    """

    recipe: Recipe
    samples: Samples
    dual: DualNetwork
    description: NetworkDescription
    average: Average | None
    watch: CollapseWatch | None
    curves: LearningCurves
    folder: RunFolder
    world: World

    @property
    def columns(self) -> list[str]:
        """The columns of the log."""
        own = self._figures(Progress(), 0, Errors(), False)
        return [*own, *(READING if self.watch else ()), *self.curves.columns]

    def finish(self, progress: Progress, selection: Selection, epoch: int) -> None:
        """Log the epoch and keep its network if that is the best so far; after a collapse restore the last good one.

        The progress then has this epoch's row, and says whether the run ends here.
        """
        self.dual.eval()
        watched = {} if self.watch is None else self.watch.reading(progress.rows)
        collapsed, last = bool(watched.get(COLLAPSED)), epoch >= self.recipe.epochs
        errors = self._validated() if self.recipe.due(epoch, self.recipe.validation.every) else Errors()
        chosen = not collapsed and self._choose(selection, errors, epoch, last)
        with self._averaged():
            measured = self.curves.measured(epoch)
        progress.finish_epoch({**self._figures(progress, epoch, errors, chosen), **watched, **measured})
        progress.stopped = collapsed or selection.exhausted(self.recipe.validation.patience)
        if collapsed:
            epoch = int(progress.rows[-2]["epoch"])
            errors = self._take_back(selection, epoch)
        elif self.watch is not None:
            self.watch.remember()
        if self.world.first:
            self.folder.save_last(self._network(epoch, errors))
            self.folder.save_log(log_text(progress.rows))

    def _validated(self) -> Errors:
        recipe, held = self.recipe, self.samples
        if not len(held.held_x):
            return Errors()
        ball, bounded = recipe.set.ball(recipe.set.eps), recipe.selected_by == "certified"
        with self._averaged():
            return validate(self.dual, held.held_x, held.held_y, ball, recipe.validation, self.world, bounded=bounded)

    def _choose(self, selection: Selection, errors: Errors, epoch: int, last: bool) -> bool:
        """Whether a network is the best so far by its errors on held-out samples; it is then kept.

        last: of its run, which must leave a network.
        """
        full = last or self.recipe.radius(epoch) >= 1 or self.recipe.loss.judged_by == "clean"
        known = not math.isnan(errors.of(self.recipe.selected_by))
        chosen = known and full and selection.judge(errors, self.recipe.selected_by)
        unchosen = not selection.best and (last or not len(self.samples.held_x))
        if self.world.first and (chosen or unchosen):
            self.folder.save_network(self._network(epoch, errors))
        return chosen

    def _take_back(self, selection: Selection, epoch: int) -> Errors:
        """Restore the weights of an earlier epoch, and keep them if no network was kept; their errors, if validated."""
        assert self.watch is not None
        self.watch.restore()
        if selection.best:
            return Errors()
        errors = self._validated()
        self._choose(selection, errors, epoch, last=True)
        return errors

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Inside, the dual network has the averaged weights, if there are any."""
        with self.dual.substituting({} if self.average is None else self.average.tensors):
            yield

    def _network(self, epoch: int, errors: Errors) -> NetworkFile:
        return trained_network(self.recipe, self.description, self.dual, self.average, epoch, errors)

    def _figures(self, progress: Progress, epoch: int, errors: Errors, chosen: bool) -> Figures:
        return {
            "epoch": epoch,
            "seconds": progress.seconds,
            "radius": self.recipe.radius(epoch) * self.recipe.set.eps,
            "learning_rate": self.recipe.learning_rate(epoch),
            "loss": progress.mean_loss,
            **{f"{name}_error": value for name, value in asdict(errors).items()},
            "chosen": float(chosen),
        }
