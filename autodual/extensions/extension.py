"""Loading extensions: those that the user names, and those that are installed."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autodual.errors import InvalidInputError
from autodual.extensions.entry_points import offered
from autodual.extensions.user_code import import_file, import_module

#: Installed packages name their extensions in this group of entry points: `anything = "package.module"`.
GROUP = "autodual.extensions"


@dataclass(frozen=True)
class Extension:
    """A module that was imported for what it registers.

    Args:
        place: the name that was given.
        file, sha256: the file that was run, and the hash of its bytes, without those of its imports.
        version: of the installed package that declares it.

    Example:
        >>> from autodual.extensions import load_extension
        >>> len(load_extension("json").sha256)
        64
    """

    place: str
    file: str | None = None
    sha256: str | None = None
    version: str | None = None


_FROM_FILES: dict[tuple[Path, str], Extension] = {}


def load_extension(place: str) -> Extension:
    """Import an extension, which runs its code; a file that has not changed since it was loaded is not run again.

    Args:
        place: a Python file, or the name of an importable module.

    Raises:
        InvalidInputError: there is no such file or module, or its code fails.

    Example:
        >>> from autodual.extensions import load_extension
        >>> load_extension("json").place  # any module can be imported; this one registers nothing
        'json'
    """
    if not place.endswith(".py"):
        file = import_module(place).__file__
        return Extension(place, file, None if file is None else _sha256(Path(file)))
    path = Path(place).resolve()
    digest = _sha256(path)
    found = _FROM_FILES.get((path, digest))
    if found is None:
        # Files of the same name in two folders are two modules.
        name = f"autodual_extension_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
        import_file(path, name, "an extension")
        found = _FROM_FILES[path, digest] = Extension(place, str(path), digest)
    return found


def installed_extensions(tell: Callable[[str], object] = warnings.warn) -> tuple[Extension, ...]:
    """Import and return the extensions that installed packages declare; those that fail are left out.

    Args:
        tell: called with a sentence about each that fails.

    Example:
        >>> from autodual.extensions import installed_extensions
        >>> isinstance(installed_extensions(), tuple)
        True
    """
    found = []
    for entry in offered(GROUP):
        name = "a package" if entry.dist is None else f"the package '{entry.dist.name}'"
        version = None if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
        try:
            entry.load()
        except (Exception, SystemExit) as error:
            words = " ".join(f"{type(error).__name__}: {error}".split())
            tell(f"the extension '{entry.name}' of {name} is left out, since it fails ({words})")
        else:
            found.append(Extension(entry.name, version=version))
    return tuple(found)


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InvalidInputError(f"There is no file '{path}' to take an extension from ({error.strerror}).") from None
