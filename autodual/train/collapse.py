"""Catastrophic overfitting (the thesis' section 4.1.2): seen at the end of an epoch, and taken back.

A network that learns from attacks of a single step may within an epoch learn to resist those alone. Its robust accuracy
on training samples then falls to nothing, while the accuracy under the single step stays high.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autodual.attacks import Ascent, CrossEntropy, Customary, Fixed, Uniform, attack_members
from autodual.network import DualNetwork
from autodual.specs import ClassMargin
from autodual.train.journal import DELTA, Figures
from autodual.train.recipe import Recipe
from autodual.train.samples import Samples
from autodual.train.saved_state import Unfit, require_like
from autodual.train.weight_average import Average
from autodual.world import World

_BINS = 20
# Of smaller minibatches the next samples are attacked, too: chance moves the error of a few by more than any drop.
_FEWEST = 100
_DELTAS = [f"{DELTA}{place / _BINS:.2f}" for place in range(_BINS)]
ERROR, COLLAPSED = "minibatch_robust_error", "collapsed"
#: The columns of the log that a reading fills.
READING = (ERROR, COLLAPSED, *_DELTAS)


@dataclass(eq=False)
class CollapseWatch:
    """Attacks a minibatch at the end of each epoch, and keeps the weights of the last good epoch.

    The attack draws numbers of its own, so that a run takes the same steps whether it is watched or not.

    good: the weights after the last good epoch, None before the first one. seed: of the run.
    """

    recipe: Recipe
    samples: Samples
    dual: DualNetwork
    average: Average | None
    world: World
    seed: int
    good: dict[str, Any] | None = None

    @torch.no_grad()
    def reading(self, rows: Sequence[Figures]) -> Figures:
        """The figures of the minibatch that the epoch after those of the log began with.

        Its robust error; how large the attack's changes are, as shares of the features by |δ| / ε; and whether the
        network has collapsed since the epoch before.
        """
        section = self.recipe.collapse
        order = self.samples.order(self.seed, len(rows), self.recipe.batch_size, self.world.size)
        labelled = order[order < len(self.samples.x)]
        chosen = labelled[: section.samples or max(self.recipe.batch_size, _FEWEST)]
        wrong, changes = 0.0, torch.zeros(_BINS, dtype=torch.int64)
        for part in self.world.share(chosen).split(self.recipe.validation.batch_size):
            if len(part):
                missed, changed = self._attacked(part, len(rows))
                wrong, changes = wrong + missed, changes + changed
        total, *counts = self.world.total([wrong, *changes.tolist()])
        error, features = total / len(chosen), sum(counts)
        shares = {name: count / features for name, count in zip(_DELTAS, counts)}
        collapsed = bool(rows) and error - rows[-1][ERROR] > section.drop
        return {ERROR: error, COLLAPSED: float(collapsed), **shares}

    def _attacked(self, indices: Tensor, epochs: int) -> tuple[float, Tensor]:
        """How many samples the attack breaks, and how many features it changes by which part of the radius."""
        section, radius = self.recipe.collapse, self.recipe.set.eps
        # Where the attack ends counts, not the best point on its way: its last steps show how the network curves.
        steps, seed = section.steps, self.seed + epochs
        attack = Ascent(Uniform(), CrossEntropy(), Customary(), Fixed(section.step_size), steps, keep="last", seed=seed)
        x, goal = self.samples.x[indices], ClassMargin(self.samples.y[indices])
        points = attack_members(attack, self.dual.run, self.recipe.set.ball(radius).at(x), goal)
        bins = ((points - x).abs() * (_BINS / radius)).long().clamp(max=_BINS - 1)
        return float(goal.misses(self.dual.run(points)).sum()), bins.flatten().bincount(minlength=_BINS).cpu()

    def remember(self) -> None:
        """Keep a copy of the present weights, those of a good epoch."""
        self.good = copy.deepcopy(self.weights())

    def restore(self) -> None:
        """Put back the weights of the last good epoch."""
        assert self.good is not None
        self.dual.model.load_state_dict(self.good["network"])
        if self.average is not None:
            self.average.load(self.good["average"])

    def weights(self) -> dict[str, Any]:
        """The present weights and their averages, not copied."""
        return {
            "network": self.dual.model.state_dict(),
            "average": None if self.average is None else self.average.state(),
        }


def require_good(found: Any, watch: CollapseWatch | None, rows: Sequence[Figures]) -> None:
    """Raise Unfit unless a value from a checkpoint with such a log is what such a watch keeps."""
    read = watch is not None and len(rows) > 0 and not math.isnan(rows[-1][ERROR])
    if (found is not None) != read:
        raise Unfit(
            "'good' must hold the weights of the last good epoch in runs that watch for a collapse, and only there"
        )
    if watch is not None and found is not None:
        require_like("good", found, watch.weights())
