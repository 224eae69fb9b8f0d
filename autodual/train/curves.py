"""Learning curves: errors on training and test samples after each epoch, for comparison and never for a choice.

The test samples are known here alone. What trains, validates and chooses gets none of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from autodual.data import Dataset
from autodual.errors import DataError
from autodual.network import DualNetwork
from autodual.train.journal import Figures
from autodual.train.preparation import require_inside
from autodual.train.recipe import Recipe
from autodual.train.samples import PseudoLabelled, Samples, float32_samples
from autodual.train.shared_samples import shared_samples
from autodual.train.validation import Errors, validate
from autodual.world import World

# Of a test set's samples, how many may be among those that are trained on.
_SHARED = 0.1


@dataclass(frozen=True, eq=False)
class LabelledSamples:
    """Samples x `[N, *shape]` with labels y `[N]`."""

    x: Tensor
    y: Tensor

    def first(self, count: int) -> LabelledSamples:
        """The first so many; all of them for 0."""
        return self if not count else LabelledSamples(self.x[:count], self.y[:count])


@dataclass(frozen=True, eq=False)
class LearningCurves:
    """Measures the sets that `curves.sets` names."""

    recipe: Recipe
    dual: DualNetwork
    world: World
    sets: Mapping[str, LabelledSamples]

    @classmethod
    def of(
        cls, recipe: Recipe, dual: DualNetwork, world: World, samples: Samples, test: LabelledSamples | None
    ) -> LearningCurves:
        """The curves of a recipe.

        Raises DataError where they need test samples and there are none, and EmptySetError for test samples outside the
        set's domain.
        """
        known = {"train": LabelledSamples(samples.x, samples.y), "test": test}
        sets: dict[str, LabelledSamples | None] = {name: known[name] for name in recipe.curves.sets}
        found = {name: chosen.first(recipe.curves.samples) for name, chosen in sets.items() if chosen is not None}
        if len(found) < len(sets):
            raise DataError(f"'{recipe.data.test}' is to be shown in learning curves; give its samples as 'test'.")
        if test is not None:
            require_inside(recipe, test.x)
        return cls(recipe, dual, world, found)

    @property
    def columns(self) -> list[str]:
        """The columns of the log that the curves fill."""
        return [f"{name}_{kind}_error" for name in self.sets for kind in ("clean", "robust")]

    def measured(self, epoch: int) -> Figures:
        """The errors after an epoch; NaN in epochs that `curves.every` leaves out."""
        if not self.recipe.due(epoch, self.recipe.curves.every):
            return dict.fromkeys(self.columns, math.nan)
        figures = {}
        for name, chosen in self.sets.items():
            found = self._errors(chosen)
            figures.update({f"{name}_clean_error": found.clean, f"{name}_robust_error": found.attacked})
        return figures

    def _errors(self, chosen: LabelledSamples) -> Errors:
        """By the attack of the validation, at the full radius."""
        ball, section = self.recipe.set.ball(self.recipe.set.eps), replace(self.recipe.validation, samples=0)
        return validate(self.dual, chosen.x, chosen.y, ball, section, self.world, bounded=False)


def labelled_test_set(
    dataset: Dataset,
    trained_on: Dataset,
    classes: int,
    device: torch.device | str = "cpu",
    *,
    unlabelled: PseudoLabelled | None = None,
) -> LabelledSamples:
    """The samples of a test set, float32 on the device.

    unlabelled: samples that are trained on, too.

    Raises DataError where it shares more than one sample in ten with what is trained on, or its samples or labels are
    unlike those. Some data sets hold a few samples twice.
    """
    if dataset.y is None or dataset.y.dim() > 1:
        raise DataError(f"data.test = '{dataset.name}' has no class for each sample to count errors by.")
    if tuple(dataset.shape) != tuple(trained_on.shape):
        raise DataError(
            f"data.test = '{dataset.name}' has samples of shape {tuple(dataset.shape)}, but the network is trained on "
            f"{tuple(trained_on.shape)}."
        )
    used = [trained_on.x, *(() if unlabelled is None else [unlabelled.x])]
    shared = shared_samples(dataset.x, used)
    if shared > _SHARED * len(dataset):
        raise DataError(
            f"{shared:,} of the {len(dataset):,} samples of data.test = '{dataset.name}' are among those that the "
            "network is trained on; name other samples."
        )
    if int(dataset.y.min()) < 0 or int(dataset.y.max()) >= classes:
        raise DataError(f"data.test = '{dataset.name}' has labels outside the {classes} classes of the training set.")
    return LabelledSamples(float32_samples(dataset).to(device), dataset.y.to(device))
