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
    left for each process, or a training was not driven to its end, or, with `helpful_stages`, after a stage that
    certifies no held-out sample that the earlier ones do not. `files` then lacks that stage; `ended` says why iteration
    ended early, and is empty where it did not.

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
        self.ended = ""
        self._test, self._factory, self._resume, self._seconds = test, factory, resume, seconds_between_saves

    def __iter__(self) -> Iterator[Training]:
        left, self.files, self.ended = self.samples, [], ""
        right = torch.ones(len(left.held_y), dtype=torch.bool, device=left.held_y.device)
        for number in range(1, self.recipe.stages + 1):
            training = self._training(number, left)
            yield training
            if not training.done or self.recipe.stages == 1:
                return
            self.files.append(self._trained(training))
            self._save()
            last = number == self.recipe.stages
            if last and not self.recipe.helpful_stages:
                return
            dual = self._compiled(training.folder)
            kept, held = self._kept(dual, left.x, left.y), self._kept(dual, left.held_x, left.held_y)
            right &= self._right(dual, left.held_x, left.held_y)
            if self.recipe.helpful_stages and number > 1 and int(right.sum()) == int(right[held].sum()):
                self.files.pop()
                self._save()
                self.ended = f"stage {number} certified no further held-out sample"
                return
            left, right = left.select(kept, held), right[held]
            if not last and len(left.x) < 2 * self.world.size:  # batch norms cannot learn from one
                self.ended = "too few training samples were left for another"
                return

    def _save(self) -> None:
        if self.world.first:
            self.folder.save_cascade(self.files)

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

    def _compiled(self, folder: RunFolder) -> DualNetwork:
        """The dual network of the last trained stage."""
        model, x = build_network(str(folder.network), self.files[-1], self._factory), self.samples.x
        return compile_dual(model.to(x.device), x[:1], memory_budget=self.recipe.memory or None)

    @torch.no_grad()
    def _right(self, dual: DualNetwork, x: Tensor, y: Tensor) -> Tensor:
        """Which samples get their label's class; a cascade gives a label only where all stages visited agree."""
        size, found = self.recipe.validation.batch_size, torch.zeros(len(y), dtype=torch.bool, device=y.device)
        for part in torch.arange(len(y), device=y.device).split(size) if len(y) else ():
            found[part] = dual.outputs(x[part]).argmax(1) == y[part]
        return found

    def _kept(self, dual: DualNetwork, x: Tensor, y: Tensor) -> Tensor:
        """Indices of the samples that a network does not certify; each process looks at its share."""
        mine = self.world.share(torch.arange(len(x)))
        if len(mine):
            mine = mine[self._uncertified(dual, x[mine], y[mine]).cpu()]
        return torch.cat(self.world.gathered(mine)).sort().values

    def _uncertified(self, dual: DualNetwork, x: Tensor, y: Tensor) -> Tensor:
        ball, validation = self.recipe.set.ball(self.recipe.set.eps), self.recipe.validation
        return uncertified([dual], x, y, ball, validation.batch_size, ask=BOUNDS[validation.bounds])
