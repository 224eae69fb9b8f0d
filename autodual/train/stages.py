"""The trainings of a recipe, one after another: a single one, or those of a cascade's stages (Algorithm 4)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from autodual.compiler import compile_dual
from autodual.errors import ModelFileError
from autodual.files.network_file import NetworkFile, build_network
from autodual.network import DualNetwork
from autodual.train.cascade_training import uncertified
from autodual.train.checkpoint import RunFolder
from autodual.train.curves import LabelledSamples
from autodual.train.recipe import Recipe
from autodual.train.samples import Samples
from autodual.train.training import Training
from autodual.train.validation import BOUNDS
from autodual.world import World


class Stages:
    """Iterates over the trainings of a recipe's stages; drive each training to its end before asking for the next.

    Every stage is a new network. It is trained and validated on the samples that no earlier stage certifies over the
    recipe's set, by the bounds that `validation.bounds` names. Iteration ends early where fewer than two samples are
    left for each process, or a training was not driven to its end.

    folder: of the run. Each stage of a cascade has a folder of its own in it, and `folder.cascade` holds the trained
    stages; a single network has neither. files: the networks trained by the present iteration. The other options are
    those of `Training`. A resumed run has the same stages, since it computes again which samples are left for each.
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
        resume: bool = False,
        seconds_between_saves: float = 60.0,
    ):
        self.recipe, self.samples, self.folder, self.world = recipe, samples, folder, world or World()
        self.files: list[NetworkFile] = []
        self._test, self._factory, self._resume, self._seconds = test, factory, resume, seconds_between_saves

    def __iter__(self) -> Iterator[Training]:
        left, self.files = self.samples, []
        for number in range(1, self.recipe.stages + 1):
            training = self._training(number, left)
            yield training
            if not training.done or self.recipe.stages == 1:
                return
            self.files.append(self._trained(training))
            if self.world.first:
                self.folder.save_cascade(self.files)
            if number < self.recipe.stages:
                left = self._left(left, training.folder)
                if len(left.x) < 2 * self.world.size:  # batch norms cannot learn from one
                    return

    def _training(self, number: int, samples: Samples) -> Training:
        folder = self.folder if self.recipe.stages == 1 else self.folder.stage(number)
        return Training(
            self.recipe,
            samples,
            folder,
            factory=self._factory,
            world=self.world,
            test=self._test,
            stage=number,
            resume=self._resume and folder.checkpoint.is_file(),
            seconds_between_saves=self._seconds,
        )

    def _trained(self, training: Training) -> NetworkFile:
        """The best network of a stage, from its file. Raises ModelFileError if that was trained by another recipe."""
        file = training.folder.load_network()
        if file.description != training.description:
            raise ModelFileError(f"'{training.folder.network}' is not the network of this run's recipe.")
        return file

    def _left(self, samples: Samples, folder: RunFolder) -> Samples:
        """The samples left so far that the last trained stage does not certify."""
        model = build_network(str(folder.network), self.files[-1], self._factory)
        dual = compile_dual(model.to(samples.x.device), samples.x[:1], memory_budget=self.recipe.memory or None)
        return samples.select(self._kept(dual, samples.x, samples.y), self._kept(dual, samples.held_x, samples.held_y))

    def _kept(self, dual: DualNetwork, x: Tensor, y: Tensor) -> Tensor:
        """Indices of the samples that a network does not certify; each process looks at its share."""
        mine = self.world.share(torch.arange(len(x)))
        if len(mine):
            mine = mine[self._uncertified(dual, x[mine], y[mine]).cpu()]
        return torch.cat(self.world.gathered(mine)).sort().values

    def _uncertified(self, dual: DualNetwork, x: Tensor, y: Tensor) -> Tensor:
        ball, validation = self.recipe.set.ball(self.recipe.set.eps), self.recipe.validation
        return uncertified([dual], x, y, ball, validation.batch_size, ask=BOUNDS[validation.bounds])
