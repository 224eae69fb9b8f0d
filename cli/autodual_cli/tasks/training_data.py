"""The data of a run of `autodual train`: what is trained on, and what learning curves are drawn of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autodual.data import Dataset, load_dataset
from autodual.errors import InvalidInputError
from autodual.train.recipe import Recipe
from autodual_cli.options.option_groups import TrainOptions


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The data set to train on, and the test set or None."""

    train: Dataset
    test: Dataset | None

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each, as `run.json` holds it."""
        test = {} if self.test is None else {"test_sha256": self.test.sha256}
        return {"data_sha256": self.train.sha256, **test}

    @property
    def sets(self) -> list[Dataset]:
        """All that there are."""
        return [self.train] if self.test is None else [self.train, self.test]


def training_data(recipe: Recipe, options: TrainOptions, described: Mapping[str, Any]) -> TrainingData:
    """The data sets that a recipe names.

    described: what `run.json` says of the run that is resumed; empty for a new one. Raises InvalidInputError where that
    was begun with other data.
    """
    place, names = options.data_dir or described.get("data_dir"), recipe.data
    data = TrainingData(load_dataset(names.train, place), load_dataset(names.test, place) if names.test else None)
    for dataset, (key, digest) in zip(data.sets, data.digests.items()):
        if options.resume and described.get(key) != digest:
            raise InvalidInputError(
                f"'{dataset.name}' is not what the run in '{options.output}' was begun with; restore its files, say "
                "with --data-dir where those of then are, or begin another run with another --output."
            )
    return data
