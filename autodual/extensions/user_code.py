"""Importing a user's module, by its name or from its file; importing runs it."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from autodual.errors import InvalidInputError


def import_module(name: str) -> ModuleType:
    """The module of this name, also from the working directory; raises InvalidInputError if the import fails."""
    try:
        with modules_from_here():
            return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise InvalidInputError(f"The module '{name}' cannot be imported: {type(error).__name__}: {error}") from error


@contextmanager
def modules_from_here() -> Iterator[None]:
    """Makes modules in the working directory importable, which console scripts, unlike `python -m`, do not find."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


def import_file(path: Path, name: str, purpose: str) -> ModuleType:
    """The module in a file, imported as `name`.

    Raises InvalidInputError, which names the `purpose`, if there is no such file or it fails.
    """
    if not os.path.isfile(path):  # unlike Path.is_file, it does not raise if a name is too long
        raise InvalidInputError(f"There is no file '{path}' to take {purpose} from.")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidInputError(f"'{path}' cannot be imported as a Python module.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InvalidInputError(f"'{path}' cannot be imported: {type(error).__name__}: {error}") from error
    return module
