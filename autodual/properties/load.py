"""`load_property`: reads a .vnnlib file, plain or compressed, of either version."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import zlib
from itertools import islice
from os import PathLike
from pathlib import Path

from autodual.errors import DataError, EmptySetError
from autodual.properties.cases import build_cases
from autodual.properties.monomials import OUTPUTS
from autodual.properties.property import Declaration, Property
from autodual.properties.syntax import tokens
from autodual.properties.version1 import read_version1
from autodual.properties.version2 import entries_of, read_version2

# Far beyond any real property (one of an image of 150,528 numbers has 14 MB), and small enough that neither the text
# nor what is made of it fills the memory.
_LARGEST = 1 << 25
_VERSION2_LARGEST = 1 << 23
_VERSION2_DEEPEST = 100
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def load_property(path: str | PathLike[str]) -> Property:
    """The property in the file `path`, of VNN-LIB 1.0 or 2.0.

    Args:
        path: the file; `.gz` files are decompressed.

    Raises:
        DataError: the file cannot be read, is no VNN-LIB, or holds what cannot be verified (unbounded inputs, integer
            types, too large products).
        EmptySetError: no input satisfies the constraints of the inputs.
        InvalidInputError: the file is of version 2.0, and the `vnnlib` package is not installed.

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
    text = _text(place, data)
    try:
        declarations: tuple[Declaration, ...] = ()
        if version2 := _is_version2(text):
            _require_modest(text)
            declarations, formulas = read_version2(text)
            inputs, outputs = entries_of(declarations)
        else:
            inputs, outputs, formulas = read_version1(text)
        version = "2.0" if version2 else "1.0"
        built = build_cases(inputs, outputs, formulas, version, tied=len(declarations) > 1)
    except (DataError, EmptySetError) as error:
        raise type(error)(f"'{place}': {error}") from None
    name = declarations[0].name if declarations else None
    digest = hashlib.sha256(data).hexdigest()
    count = max(built.places) + 1
    products = tuple(tuple(_place(column, count) for column in one) for one in built.products)
    sources = built.places if count < len(built.places) else ()
    return Property(inputs, outputs, built.cases, version, name, built.vacuous, digest, declarations, products, sources)


def _place(column: int, inputs: int) -> int:
    """The number of an entry among all inputs and, behind these, all outputs."""
    return column if column < OUTPUTS else column - OUTPUTS + inputs


def _read(place: Path) -> bytes:
    try:
        with gzip.open(place) if place.suffix == ".gz" else open(place, "rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise DataError(f"There is no file '{place}'.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"'{place}' cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if len(data) > _LARGEST:
        raise DataError(f"'{place}' has more than {_LARGEST >> 20} MiB, too many for a property; split it.")
    return data


def _text(place: Path, data: bytes) -> str:
    """The file's text, without its byte order mark."""
    mark, encoding = next(((m, e) for m, e in _MARKS.items() if data.startswith(m)), (b"", "utf-8"))
    try:
        return data[len(mark) :].decode(encoding)
    except UnicodeDecodeError:
        raise DataError(f"'{place}' is no VNN-LIB file: it is not text.") from None


def _is_version2(text: str) -> bool:
    """Whether the first command belongs to version 2.0."""
    first = [word for word, *_ in islice(tokens(text, _VERSION2_DEEPEST), 2)]
    return first in (["(", "vnnlib-version"], ["(", "declare-network"])


def _require_modest(text: str) -> None:
    """Refuse text for which the package that parses version 2.0 would need too much memory or too deep a stack."""
    if len(text) > _VERSION2_LARGEST:
        raise DataError(f"a property of VNN-LIB 2.0 may have {_VERSION2_LARGEST >> 20} MiB of text at most; split it.")
    for _ in tokens(text, _VERSION2_DEEPEST):
        pass
