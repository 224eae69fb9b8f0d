"""Reading recipes from TOML and YAML files."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from autodual.errors import InvalidInputError


def read_recipe(path: str | PathLike[str]) -> dict[str, Any]:
    """The plain values in a `.toml`, `.yaml` or `.yml` file, for `assemble(Recipe, …)`.

    Raises InvalidInputError where there is no such file, it cannot be parsed, or its format needs a missing package.
    """
    place = Path(path)
    parsers = {".toml": _toml, ".yaml": _yaml, ".yml": _yaml}
    if place.suffix not in parsers:
        raise InvalidInputError(f"'{place}' is no recipe: give a .toml, .yaml or .yml file")
    try:
        text = place.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InvalidInputError(f"there is no recipe '{place}'") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the recipe '{place}' cannot be read: {error}") from None
    found = parsers[place.suffix](place, text)
    if not isinstance(found, Mapping):
        raise InvalidInputError(f"'{place}' holds no table of options")
    return dict(found)


def _toml(path: Path, text: str) -> Any:
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInputError(f"'{path}' is not valid TOML: {error}") from None


def _yaml(path: Path, text: str) -> Any:
    try:
        import yaml
    except ModuleNotFoundError:
        raise InvalidInputError(f"'{path}' needs PyYAML: pip install 'autodual[train]', or write it as TOML") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(f"'{path}' is not valid YAML: {' '.join(str(error).split())}") from None
