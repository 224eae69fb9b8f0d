"""The end of an epoch: validate, log, and keep the network if it is the best so far."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from autodual.architectures import NetworkDescription
from autodual.files.network_file import NetworkFile
from autodual.network import DualNetwork
from autodual.train.checkpoint import RunFolder
from autodual.train.journal import Figures, log_text
from autodual.train.optimisation import Average
from autodual.train.recipe import Recipe, disassemble
from autodual.train.samples import Samples
from autodual.train.training_progress import Progress
from autodual.train.validation import Errors, validate
from autodual.world import World


@dataclass(frozen=True, eq=False)
class EpochEnd:
    """What a run does with its network after the last step of each epoch; it changes no weights.

    average: averaged weights, which are then what is validated and kept; None: the network's own.
    """

    recipe: Recipe
    samples: Samples
    dual: DualNetwork
    description: NetworkDescription
    average: Average | None
    folder: RunFolder
    world: World

    def finish(self, progress: Progress, epoch: int) -> None:
        """Validate, log and keep the network, all as the recipe says; the progress then has this epoch's row."""
        recipe = self.recipe
        last = epoch >= recipe.epochs  # a pass over the data may count as several epochs
        due = last or epoch % recipe.validation.every < recipe.loss.steps_a_batch()
        errors = self._validated() if due else Errors(*[math.nan] * 3)
        progress.finish_epoch(self.figures(progress, epoch, errors))
        if math.isfinite(errors.certified) and (last or recipe.radius(epoch) >= 1):
            if progress.judge(errors, recipe.validation.patience):
                self._keep(epoch, errors)
        elif not progress.best and (last or not len(self.samples.held_x)):
            self._keep(epoch, errors)
        if self.world.first:
            self.folder.save_log(log_text(progress.rows))

    def figures(self, progress: Progress, epoch: int, errors: Errors) -> Figures:
        """An epoch's row of the log."""
        return {
            "epoch": epoch,
            "seconds": progress.seconds,
            "radius": self.recipe.radius(epoch) * self.recipe.set.eps,
            "learning_rate": self.recipe.learning_rate(epoch),
            "loss": progress.mean_loss,
            **{f"{name}_error": value for name, value in asdict(errors).items()},
        }

    def _validated(self) -> Errors:
        recipe, held = self.recipe, self.samples
        if not len(held.held_x):
            return Errors(*[math.nan] * 3)
        self.dual.eval()
        with self.dual.substituting(self.average.tensors if self.average is not None else {}):
            ball = recipe.set.ball(recipe.set.eps)
            return validate(self.dual, held.held_x, held.held_y, ball, recipe.validation, self.world)

    def _keep(self, epoch: int, errors: Errors) -> None:
        if not self.world.first:
            return
        state = self.dual.model.state_dict() if self.average is None else self.average.tensors
        prefix = "1." if self.description.mean is not None else ""
        inner = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
        section = disassemble(self.recipe.set)
        found = {f"{name}_error": value for name, value in asdict(errors).items() if math.isfinite(value)}
        trained = {"set": section, "epochs": epoch, "validation": found}
        self.folder.save_network(NetworkFile(self.description, inner, trained))
