"""`load_property`: reads a .vnnlib file, plain or compressed, of either version."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from os import PathLike
from pathlib import Path

from autodual.errors import DataError, EmptySetError
from autodual.properties.cases import build_cases
from autodual.properties.property import Property
from autodual.properties.version1 import read_version1
from autodual.properties.version2 import read_version2

_VERSION2 = re.compile(r"^\s*\(\s*(vnnlib-version|declare-network)\b", re.MULTILINE)
# Far beyond any real property, and small enough that a crafted archive cannot fill the memory.
_LARGEST = 1 << 30


def load_property(path: str | PathLike[str]) -> Property:
    """The property in the file `path`, of VNN-LIB 1.0 or 2.0.

    Args:
        path: the file; `.gz` files are decompressed.

    Raises:
        DataError: the file cannot be read, is no VNN-LIB, or says what cannot be verified (nonlinear constraints,
            constraints between inputs and outputs, unbounded inputs, hidden nodes, several networks).
        EmptySetError: no input satisfies the constraints of the inputs.
        InvalidInputError: a file of version 2.0, and the `vnnlib` package is not installed.

    Example:
        >>> import autodual
        >>> from pathlib import Path
        >>> _ = Path("small.vnnlib").write_text('''
        ... (declare-const X_0 Real) (declare-const Y_0 Real)
        ... (assert (>= X_0 0)) (assert (<= X_0 1)) (assert (<= Y_0 0))''')
        >>> goal = autodual.load_property("small.vnnlib")
        >>> goal.input_size, goal.output_size
        (1, 1)
    """
    place = Path(path)
    data = _read(place)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise DataError(f"'{place}' is no VNN-LIB file: it is not text.") from None
    try:
        network = None
        if version2 := _VERSION2.search(text) is not None:
            network, inputs, outputs, formulas = read_version2(text)
        else:
            inputs, outputs, formulas = read_version1(text)
        version = "2.0" if version2 else "1.0"
        cases, vacuous = build_cases(inputs, outputs, formulas, version)
    except (DataError, EmptySetError) as error:
        raise type(error)(f"'{place}': {error}") from None
    return Property(inputs, outputs, cases, version, network, vacuous, hashlib.sha256(data).hexdigest())


def _read(place: Path) -> bytes:
    try:
        with gzip.open(place) if place.suffix == ".gz" else open(place, "rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise DataError(f"There is no file '{place}'.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"'{place}' cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if len(data) > _LARGEST:
        raise DataError(f"'{place}' is larger than a gigabyte, too large for a property.")
    return data
