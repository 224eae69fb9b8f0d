"""The instances of a benchmark: networks with properties, time limits and, where they are known, the right answers.

The competition's file has a line `network,property,timeout` for each instance and no header, with paths relative to the
file. Other files may have a header that names columns.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from autodual.errors import DataError
from autodual.limits import read_file

_NAMES = {
    "network": ("network", "onnx", "model"),
    "property": ("property", "vnnlib"),
    "timeout": ("timeout",),
    "expected": ("expected", "result", "status", "answer"),
}
_WORDS = {"sat": "sat", "violated": "sat", "unsat": "unsat", "holds": "unsat"}


@dataclass(frozen=True)
class Instance:
    """One question of a benchmark.

    Args:
        network: the network as the file writes it; `network_path` is where it lies.
        goal: the property, as the network.
        timeout: in seconds; None where the file does not say.
        expected: the recorded answer, sat or unsat; None where none is known.
        folder: that the paths are relative to.

    Example:
        >>> from pathlib import Path
        >>> from autodual.properties.instance_list import Instance
        >>> Instance("n.onnx", "p.vnnlib", 60.0, None, Path("acasxu")).network_path.as_posix()
        'acasxu/n.onnx'
    """

    network: str
    goal: str
    timeout: float | None
    expected: str | None
    folder: Path

    @property
    def network_path(self) -> Path:
        """Where the network lies."""
        return _stored(self.folder / self.network)

    @property
    def goal_path(self) -> Path:
        """Where the property lies."""
        return _stored(self.folder / self.goal)


def load_instances(path: str | PathLike[str]) -> list[Instance]:
    """The instances in a file, in its order.

    Args:
        path: a CSV file, as this module describes it. A path in it also stands for the same file with `.gz` at the end.

    Raises:
        DataError: the file cannot be read, or a line is no instance.

    Example:
        >>> from pathlib import Path
        >>> from autodual.properties.instance_list import load_instances
        >>> _ = Path("instances.csv").write_text("onnx/n.onnx,vnnlib/p.vnnlib,116\\n")
        >>> load_instances("instances.csv")[0].timeout
        116.0
    """
    lines = list(_lines(path))
    if not lines:
        raise DataError(f"'{path}' holds no instance; write a line network,property,timeout for each.")
    names = _header(lines[0][1])
    if names is None:
        names = {"network": 0, "property": 1, "timeout": 2, "expected": 3}
    else:
        lines = lines[1:]
    return [_instance(Path(path), number, fields, names) for number, fields in lines]


def with_answers(instances: Sequence[Instance], path: str | PathLike[str]) -> list[Instance]:
    """The instances with the answers of a results file.

    Args:
        instances: of a benchmark.
        path: a CSV file whose lines name a network, a property and a result, in columns of any order, such as the
            competition's results; only the names of files count, not their folders.

    Raises:
        DataError: the file cannot be read, or has two answers to one instance.

    Example:
        >>> from pathlib import Path
        >>> from autodual.properties.instance_list import Instance, with_answers
        >>> _ = Path("results.csv").write_text("acasxu,./onnx/n.onnx.gz,./vnnlib/p.vnnlib,0.1,unsat,2.5\\n")
        >>> with_answers([Instance("n.onnx", "p.vnnlib", 60.0, None, Path())], "results.csv")[0].expected
        'unsat'
    """
    known: dict[tuple[str, str], str] = {}
    for number, fields in _lines(path):
        answer = next((_WORDS[field.lower()] for field in fields if field.lower() in _WORDS), None)
        networks = [field for field in fields if _bare(field).endswith((".onnx", ".pt", ".pt2", ".pth"))]
        properties = [field for field in fields if _bare(field).endswith(".vnnlib")]
        if answer is None or not networks or not properties:
            continue
        key = _bare(networks[0]), _bare(properties[0])
        if known.setdefault(key, answer) != answer:
            raise DataError(f"'{path}', line {number}: '{key[0]}' with '{key[1]}' has another answer before.")
    return [replace(one, expected=known.get((_bare(one.network), _bare(one.goal)), one.expected)) for one in instances]


def _lines(path: str | PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not empty, with their numbers, cut at commas."""
    try:
        text = read_file(path).decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"'{path}' cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise DataError(f"'{path}' is no CSV file: it is not text.") from None
    try:
        for number, fields in enumerate(csv.reader(text.splitlines()), 1):
            if any(field.strip() for field in fields):
                yield number, [field.strip() for field in fields]
    except csv.Error as error:
        raise DataError(f"'{path}' is no CSV file: {error}.") from None


def _header(fields: Sequence[str]) -> dict[str, int] | None:
    """The places of the columns; None where the line is an instance."""
    places = {field.lower(): place for place, field in enumerate(fields)}
    found = {
        name: places[word] for name, words in _NAMES.items() for word in reversed(words) if word in places
    }  # the first word wins
    return found if "network" in found and "property" in found else None


def _instance(path: Path, number: int, fields: Sequence[str], names: Mapping[str, int]) -> Instance:
    value = {name: fields[place] if place < len(fields) else "" for name, place in names.items()}
    if not (value["network"] and value["property"]) or "\0" in "".join(fields):
        raise DataError(f"'{path}', line {number} is no instance; write network,property,timeout.")
    timeout = _seconds(path, number, value.get("timeout", ""))
    expected = _WORDS.get(value.get("expected", "").lower())
    return Instance(value["network"], value["property"], timeout, expected, path.parent)


def _seconds(path: Path, number: int, text: str) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise DataError(f"'{path}', line {number} has the timeout '{text[:40]}'; write a number of seconds.")
    return seconds


def _stored(path: Path) -> Path:
    """The file, or the compressed one that stands in its place."""
    compressed = path.with_name(path.name + ".gz")
    return compressed if compressed.exists() and not path.exists() else path


def _bare(path: str) -> str:
    """A file's name without folders and compression."""
    return path.replace("\\", "/").rpartition("/")[2].removesuffix(".gz")
