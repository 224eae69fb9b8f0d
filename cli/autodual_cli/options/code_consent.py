"""Which code `autodual train` may run: only what the command line names, for anyone may have written a recipe."""

from __future__ import annotations

from pathlib import Path

from autodual.architectures import describe_architectures, is_architecture
from autodual.errors import InvalidInputError
from autodual.files.architecture import Factory, resolve_factory
from autodual.train.recipe import Recipe


def allowed_factory(recipe: Recipe, named: str | None, directory: Path | None = None) -> Factory | None:
    """The code that builds the recipe's network, imported; None for one of autodual's architectures.

    named: the architecture that the command line names, or None. directory: where relative paths in the recipe begin.
    Raises InvalidInputError if the recipe names code and the command line does not name the same code.
    """
    arch = recipe.network.arch
    if is_architecture(arch):
        if named not in (None, arch):
            raise InvalidInputError(f"The run's network is '{arch}'; leave out --arch {named}.")
        return None
    if ":" not in arch or arch.partition(":")[2].isdecimal():
        raise InvalidInputError(
            f"'{arch}' is no architecture; there are {describe_architectures()}, and PLACE:FACTORY for your own."
        )
    if named is None:
        raise InvalidInputError(f"The network is built by the code of {arch}; to run that code, give --arch {arch}.")
    if _place(named, None) != _place(arch, directory):
        raise InvalidInputError(f"The network is built by the code of {arch}, not by that of --arch {named}.")
    return resolve_factory(named)


def _place(arch: str, directory: Path | None) -> tuple[str, str]:
    """The file or module that code is in, and its name there; paths are absolute."""
    place, _, attribute = arch.rpartition(":")
    if place.endswith(".py"):
        place = str(((directory or Path.cwd()) / place).resolve())
    return place, attribute
