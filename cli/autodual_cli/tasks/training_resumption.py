"""Resuming a run: its own recipe, after checking that its files agree with one another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autodual.errors import InvalidInputError
from autodual.train.checkpoint import SCHEMA, RunFolder
from autodual.train.recipe import Recipe, assemble
from autodual.train.saved_state import saved_recipe
from autodual_cli.options.option_groups import TrainOptions
from autodual_cli.options.recipe_options import overrides_given


def refuse_changes(options: TrainOptions) -> None:
    """Raise InvalidInputError for options that say what only the run itself can; --arch names its code anew."""
    given = [option for option, place in overrides_given(options).items() if place != "network.arch"]
    if given:
        raise InvalidInputError(
            f"--resume goes on with the run's own recipe; leave out {', '.join(given)}, or begin another run in a "
            "folder of its own with --output."
        )
    if options.overwrite:
        raise InvalidInputError("Give either --resume, to go on with a run, or --overwrite, to replace it.")


def resumed_recipe(folder: RunFolder) -> Recipe:
    """The recipe of the run in a folder, as its checkpoint and its `run.json` say alike.

    Raises InvalidInputError for files that differ, and for a stage of a cascade.
    """
    saved = folder.stage(1) if folder.holds_cascade else folder
    recipe = saved_recipe(str(saved.checkpoint), saved.load())
    if _described_recipe(folder) != recipe:
        raise InvalidInputError(
            f"'{saved.checkpoint}' and '{folder.recipe}' hold different recipes, so one of them is not this "
            "run's; put back the file of then, or begin again with --overwrite."
        )
    if recipe.stages > 1 and not folder.holds_cascade:
        raise InvalidInputError(
            f"'{folder.path}' is a stage of a cascade; resume the cascade, whose folder it lies in."
        )
    return recipe


def _described_recipe(folder: RunFolder) -> Recipe:
    described = folder.described()
    if described.get("schema") != SCHEMA:
        raise InvalidInputError(
            f"'{folder.recipe}' is gone or damaged, so what the run was begun with is not known; put back "
            "the file of then, or begin again with --overwrite."
        )
    try:
        return assemble(Recipe, described.get("recipe"))
    except InvalidInputError as error:
        raise InvalidInputError(f"'{folder.recipe}' is damaged: its recipe cannot be read ({error}).") from None


def begun_in(described: Mapping[str, Any]) -> Path | None:
    """The folder that a run was started in, as its `run.json` says."""
    directory = described.get("provenance", {}).get("directory")
    return Path(directory) if isinstance(directory, str) and directory.isprintable() else None
