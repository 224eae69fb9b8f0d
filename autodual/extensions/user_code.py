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
    """A module that Python finds, also in the working directory; raises InvalidInputError where that fails."""
    try:
        with modules_from_here():
            return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise InvalidInputError(f"The module '{name}' cannot be imported: {type(error).__name__}: {error}") from error


@contextmanager
def modules_from_here() -> Iterator[None]:
    """Inside, modules of the working directory are found, which a console script, unlike `python -m`, does not see."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        if here in sys.path:
            sys.path.remove(here)


def import_file(path: Path, name: str, purpose: str) -> ModuleType:
    """The module in a file, known as `name` from now on.

    Raises InvalidInputError, which says for what `purpose` it was wanted, where there is no such file or it fails.
    """
    if not os.path.isfile(path):  # unlike the method of paths, it raises nothing where a name is too long
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
