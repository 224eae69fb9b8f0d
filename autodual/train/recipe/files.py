"""Reads recipes from TOML and YAML files; what only one of the two takes for a number or a boolean is a string."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from autodual.errors import InvalidInputError
from autodual.train.recipe.recipe_values import require_small

# In bytes: longer than any recipe, and short enough for parsers whose time grows with the square of it.
_LONGEST = 1 << 15


def read_recipe(path: str | PathLike[str]) -> dict[str, Any]:
    """The plain values in a recipe's file, for `assemble(Recipe, …)`.

    Args:
        path: a `.toml`, `.yaml` or `.yml` file.

    Raises:
        InvalidInputError: there is no such file, it cannot be parsed, or its format needs a missing package.

    Example:
        >>> from pathlib import Path
        >>> from autodual.train.recipe import read_recipe
        >>> _ = Path("recipe.toml").write_text("epochs = 4")
        >>> read_recipe("recipe.toml")
        {'epochs': 4}
    """
    place = Path(path)
    parsers = {".toml": _toml, ".yaml": _yaml, ".yml": _yaml}
    if place.suffix not in parsers:
        raise InvalidInputError(f"'{place}' is no recipe: give a .toml, .yaml or .yml file")
    text = _text(place)
    try:
        found = parsers[place.suffix](place, text)
    except RecursionError:
        raise InvalidInputError(f"'{place}' is nested too deeply for a recipe") from None
    if not isinstance(found, Mapping):
        raise InvalidInputError(f"'{place}' holds no table of options")
    try:
        require_small(found)
    except InvalidInputError as error:
        raise InvalidInputError(f"'{place}' is no recipe: {error}") from None
    return dict(found)


def _text(path: Path) -> str:
    """The text in a file of at most `_LONGEST` bytes."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InvalidInputError(f"the recipe '{path}' is no file")
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
    except FileNotFoundError:
        raise InvalidInputError(f"there is no recipe '{path}'") from None
    except OSError as error:
        raise InvalidInputError(f"the recipe '{path}' cannot be read: {error.strerror}") from None
    if len(content) > _LONGEST:
        raise InvalidInputError(f"'{path}' is too large for a recipe: it has more than {_LONGEST} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInputError(f"the recipe '{path}' cannot be read: it is no text in UTF-8") from None


def read_value(text: str) -> Any:
    """A recipe's value in the notation of JSON, or a list or table in that of TOML; anything else is a string.

    Args:
        text: such as what follows `--set KEY=`.

    Example:
        >>> from autodual.train.recipe import read_value
        >>> read_value("0.5"), read_value("pgd"), read_value('[{ kind = "cutout", side = 14 }]')
        (0.5, 'pgd', [{'kind': 'cutout', 'side': 14}])
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if not text.lstrip().startswith(("[", "{")) or len(text) > _LONGEST:
            return text
    try:
        found = _toml_table(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return found["value"] if list(found) == ["value"] else text  # more lines would set more


def _toml(path: Path, text: str) -> Any:
    try:
        return _toml_table(text)
    except ValueError as error:
        if type(error) is ValueError:
            raise InvalidInputError(f"'{path}' holds a number of too many digits") from None
        raise InvalidInputError(f"'{path}' is not valid TOML: {_one_line(str(error))}") from None


def _toml_table(text: str) -> dict[str, Any]:
    """Raises TOMLDecodeError, a kind of ValueError, and ValueError itself for a number of too many digits."""
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib
    return tomllib.loads(text)


def _yaml(path: Path, text: str) -> Any:
    try:
        import yaml
    except ModuleNotFoundError:
        raise InvalidInputError(f"'{path}' needs PyYAML: pip install 'autodual[train]', or write it as TOML") from None
    from autodual.train.recipe.yaml_subset import load

    try:
        return load(text)
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f" (line {error.problem_mark.line + 1})"
        raise InvalidInputError(f"'{path}' is not valid YAML: {_one_line(str(error.problem))}{line}") from None
    except yaml.YAMLError as error:
        raise InvalidInputError(f"'{path}' is not valid YAML: {_one_line(str(error))}") from None


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:199]}…"
