"""What a run keeps from step to step: as a checkpoint holds it, and put back from one after all of it was checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from autodual.errors import InvalidInputError
from autodual.network import DualNetwork
from autodual.train.checkpoint import RunFolder
from autodual.train.collapse import CollapseWatch
from autodual.train.mixed_precision import MixedPrecision
from autodual.train.network_selection import Selection
from autodual.train.optimisation import require_optimiser_state
from autodual.train.random_state import random_state, require_random_states, set_random_state
from autodual.train.recipe import Recipe, disassemble
from autodual.train.samples import Samples
from autodual.train.saved_state import require_keys, require_like, saved_recipe
from autodual.train.training_progress import Progress
from autodual.train.weight_average import Average
from autodual.world import World


@dataclass(frozen=True, eq=False)
class RunState:
    """All parts of a run that steps change, but its progress and its selection.

    average, watch: None where the recipe asks for none. carried: what the loss remembers, by name.
    """

    recipe: Recipe
    samples: Samples
    network: nn.Module
    dual: DualNetwork
    optimiser: torch.optim.Optimizer
    precision: MixedPrecision
    average: Average | None
    watch: CollapseWatch | None
    carried: dict[str, Tensor]
    world: World

    def gathered(self, progress: Progress, selection: Selection) -> dict[str, Any]:
        """A checkpoint of all processes, which must call this together."""
        random = self.world.gathered(random_state(self.samples.x.device))
        return self._table(progress, selection, random, self.world.gathered(self._carried()))

    def check(self, folder: RunFolder, state: Mapping[str, Any]) -> None:
        """Check what a checkpoint says of everything but progress and selection.

        Raises InvalidInputError if it belongs to another run than that of the folder, and Unfit if it is damaged.
        """
        own = self._table(Progress(), Selection(), [], [self._carried()] * self.world.size)
        require_keys("", state, own)
        if saved_recipe(str(folder.checkpoint), state) != self.recipe:
            raise InvalidInputError(
                f"'{folder.path}' was begun with another recipe; resume it as it was, or name another folder."
            )
        if state["samples"] != self.samples.digest:
            raise InvalidInputError(f"'{folder.path}' was begun with other samples or labels; begin it anew.")
        if type(state["random"]) is list and len(state["random"]) != self.world.size:
            raise InvalidInputError(
                f"'{folder.path}' was begun by {len(state['random'])} process(es), not {self.world.size}; resume "
                "it with as many."
            )
        for key in ("network", "average", "carried", "draws"):
            require_like(key, state[key], own[key])
        self.precision.require_state(state["scaler"])
        require_optimiser_state(state["optimiser"], self.optimiser, self.recipe.optimiser)
        require_random_states(state["random"], self.samples.x.device)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint that was checked; raises Unfit, before any change, for unusable random states."""
        set_random_state(state["random"][self.world.rank], self.samples.x.device)
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.load(state["average"])
        for key, value in state["carried"][self.world.rank].items():
            self.carried[key].copy_(value)
        self.precision.load(state["scaler"])
        if self.watch is not None:
            self.watch.good = state["good"]
        self.dual.draws = state["draws"]

    def _carried(self) -> dict[str, Tensor]:
        return {name: value.cpu() for name, value in self.carried.items()}

    def _table(
        self, progress: Progress, selection: Selection, random: list[Any], carried: list[dict[str, Tensor]]
    ) -> dict[str, Any]:
        return {
            "recipe": disassemble(self.recipe),
            "samples": self.samples.digest,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": None if self.average is None else self.average.state(),
            "progress": progress.state(),
            "selection": selection.state(),
            "good": None if self.watch is None else self.watch.good,
            "random": random,
            "carried": carried,
            "scaler": self.precision.state(),
            "draws": self.dual.draws,
        }
