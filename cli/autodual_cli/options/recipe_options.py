"""Combines a recipe file with the options that override it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from autodual.errors import InvalidInputError
from autodual.train.recipe import Recipe, assemble, disassemble, overridden, read_recipe, read_value
from autodual_cli.options.option_groups import TrainOptions
from autodual_cli.options.recorded_options import option_name

# Where each option goes in a recipe.
_PLACES = {
    "data": "data.train",
    "mean": "data.mean",
    "std": "data.std",
    "arch": "network.arch",
    "batch_norm": "network.batch_norm",
    "eps": "set.eps",
    "norm": "set.norm",
    "domain": "set.domain",
    "projection": "projection",
    "epochs": "epochs",
    "batch_size": "batch_size",
    "learning_rate": "learning_rate",
    "seed": "seed",
    "memory": "memory",
    "cascade": "stages",
}


def chosen_recipe(options: TrainOptions) -> Recipe:
    """The recipe of the file, or the default one, with the changes that options make.

    Raises InvalidInputError, naming the entry, for an invalid recipe.
    """
    values = {} if options.recipe is None else read_recipe(options.recipe)
    values.setdefault("loss", disassemble(Recipe().loss))
    if options.loss is not None and options.loss != _kind(values["loss"]):
        values["loss"] = options.loss  # another loss has other options
    for _, place, value in _overrides(options):
        values = overridden(values, place, value)
    recipe = assemble(Recipe, values)
    # Whole paths, so that the run can be resumed from any folder.
    names = ("train", "test", "unlabelled")
    data = replace(recipe.data, **{name: _whole(getattr(recipe.data, name)) for name in names})
    return replace(recipe, data=replace(data, teacher=str(Path(data.teacher).resolve()) if data.teacher else ""))


def _whole(name: str) -> str:
    """The whole path of a data file; other names of data as they are."""
    return str(Path(name).resolve()) if Path(name).suffix == ".npz" else name


def _kind(loss: Any) -> Any:
    return loss.get("kind") if isinstance(loss, dict) else loss


def overrides_given(options: TrainOptions) -> dict[str, str | None]:
    """The options that say what a recipe says, and the entry that each sets; None for those that set several."""
    whole = {f"--{name}": None for name in ("recipe", "loss") if getattr(options, name) is not None}
    return {**whole, **{option: place for option, place, _ in _overrides(options)}}


def architecture_given(options: TrainOptions) -> str | None:
    """The architecture that the command line itself names, by --arch or --set."""
    values: dict[str, Any] = {}
    for _, place, value in _overrides(options):
        if place.partition(".")[0] == "network":
            values = overridden(values, place, value)
    network = values.get("network")
    arch = network.get("arch") if isinstance(network, dict) else None
    return arch if isinstance(arch, str) else None


def _overrides(options: TrainOptions) -> Iterator[tuple[str, str, Any]]:
    """Each option that sets an entry of the recipe, as the command line names it, the entry, and its value."""
    for name, place in _PLACES.items():
        value = getattr(options, name)
        if value is not None:
            yield option_name(name), place, list(value) if isinstance(value, tuple) else value
    for name, text in options.set_options.items():
        yield option_name(name), f"set.{name}", text
    for setting in options.settings:
        place, equals, text = setting.partition("=")
        if not equals or not place:
            raise InvalidInputError(f"--set takes KEY=VALUE, such as loss.kappa=0.25, not '{setting}'.")
        yield f"--set {place}", place, read_value(text)
