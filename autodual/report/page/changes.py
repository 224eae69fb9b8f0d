"""Counterexamples as numbers: which inputs differ from the sample's, and by how much."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autodual.report.document import Row
from autodual.report.numbers import number, plural
from autodual.report.page.parts import Cell, Grid, grid
from autodual.report.page.pictures import as_array

if TYPE_CHECKING:
    import numpy

_LISTED = 8


@dataclass(frozen=True)
class Changes:
    """What changed in words, and the inputs that changed most; without the original, the first inputs."""

    words: str
    grid: Grid


def changes(row: Row) -> Changes | None:
    """The numbers of a row's counterexample against the original's; None where they are no array of finite numbers."""
    found, original = as_array(row.get("counterexample")), as_array(row.get("original"))
    if found is None or found.size == 0:
        return None
    if original is None or original.shape != found.shape:
        return _alone(row, found)
    return _against(row, found, original)


def _against(row: Row, found: numpy.ndarray, original: numpy.ndarray) -> Changes:
    import numpy

    difference = found - original
    sizes = numpy.abs(difference).ravel()
    changed, largest = int((sizes > 0).sum()), float(sizes.max())
    order = numpy.argsort(-sizes, kind="stable")[: min(changed, _LISTED)].tolist()
    lines = [
        [_place(found, place), *(float(array.flat[place]) for array in (original, found, difference))]
        for place in order
    ]
    words = [
        *_classes(row),
        f"{changed:,} of {plural(found.size, 'input')} changed, by {number(largest, 5)} at most",
        *([f"the {_LISTED} largest changes are shown"] if changed > _LISTED else []),
    ]
    return Changes(_sentence(words), grid(["input", "original", "counterexample", "difference"], lines))


def _alone(row: Row, found: numpy.ndarray) -> Changes:
    lines = [[_place(found, place), float(found.flat[place])] for place in range(min(found.size, _LISTED))]
    outputs = as_array(row.get("outputs"))
    words = [
        *_classes(row),
        *([] if outputs is None else [f"outputs there: {_listed(outputs)}"]),
        *([f"the first {_LISTED} of {found.size:,} inputs are shown"] if found.size > _LISTED else []),
    ]
    return Changes(_sentence(words), grid(["input", "counterexample"], lines))


def _place(array: numpy.ndarray, place: int) -> Cell:
    """Where a number stands in the array, such as 3 or 0, 2, 1."""
    import numpy

    return Cell(", ".join(str(int(index)) for index in numpy.unravel_index(place, array.shape)))


def _classes(row: Row) -> list[str]:
    """The classes at the sample and at the counterexample, as far as they are recorded."""
    before, after = row.get("predicted"), row.get("reached")
    return [] if before is None or after is None else [f"class {before} at the sample, class {after} here"]


def _listed(outputs: numpy.ndarray) -> str:
    shown = ", ".join(number(float(value), 5) for value in outputs.flat[:_LISTED])
    return shown if outputs.size <= _LISTED else f"{shown}, …"


def _sentence(parts: Iterable[Any]) -> str:
    words = "; ".join(parts)
    return f"{words[0].upper()}{words[1:]}." if words else ""
