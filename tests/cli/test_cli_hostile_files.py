"""Hostile files: whatever a file claims, the command ends soon, in one line, and within its budget of memory.

benchmarks/hostile_files.py gives many more such files to every command that reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hostile.field import place, surroundings, tried
from support.hostile.formats import FORMATS
from support.hostile.trial import Outcome
from support.hostile.words import calls

# One file for each kind of false claim; the benchmark tries the others.
CHOSEN = {
    "torch.save": (
        "a constructor that allocates slowly", "a bytearray", "a state dict with a tensor expanded to 4 GiB",
        "a state dict with a tensor of a storage that claims more", "a module with a parameter beyond its storage",
        "1,000 nested containers", "60 doublings of a container", "60 doublings of a list in a module",
        "a key of 60 doublings", "5,000 layers", "an enlargement by a million", "a slow pool",
        "a trained network that claims a width", "a trained network of no weights", "a sparse file of a terabyte",
        "a sparse zip of 4 GiB", "a pipe", "an old storage of terabytes", "a memo of 2**31", "an encrypted zip",
        "a compressed bomb",
    ),
    "torch.export": (
        "a weight of 4 GiB", "a weight beyond its bytes", "10,000 nodes", "a size of 4,000 digits",
        "an expression of products", "an enlargement to terabytes", "a huge window", "nested JSON",
        "an example input of claims",
    ),
    "npz": (
        "an archive with a shape of terabytes", "an archive with an array of objects",
        "an archive with labels with a shape beyond 64 bits", "a bomb of 0.24 GB of bytes",
    ),
    "npy": ("a shape of 4,000 digits", "a device"),
    "IDX": ("a packed header that claims terabytes", "a header that claims 255 large axes", "a gzip that is cut"),
    "CIFAR-10": ("a sparse file of a terabyte", "a sparse file of 0.9 GiB"),
    "SVHN": ("4294967295 at 132", "2147483647 at 160", "a packed element of 2 GiB"),
    "UCI HAR": ("a line too long", "a number too large"),
    "results": ("a key twice", "a number of 4,000 digits", "a million brackets", "a device"),
    "specifications": ("a ragged matrix", "clauses of rows that are not", "brackets"),
}  # fmt: skip
WORDS = (
    "--eps 1/0", "--eps 1e999999999", "--attack pgd:steps=1e999999999", "--targeted -1",
    "--memory 99999999999999999999", "--input-shape 30000,30000",
    "a specification: an exponent", "a specification: a larger output", "a specification: brackets",
    "a specification: a sum of many", "a specification: top of many", "a path of many letters",
)  # fmt: skip


def _jobs(folder: Path) -> Iterator[tuple[str, list[str]]]:
    around = surroundings(folder / "around")
    for format in FORMATS:
        files = dict(format.hostile())
        for number, name in enumerate(CHOSEN.get(format.name, ())):
            path = place(format, files[name], folder / f"{format.name}-{number}")
            yield f"{format.name}: {name}", format.commands(path, around)[0]
    commands = dict(calls(around))
    yield from ((name, commands[name]) for name in WORDS)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("hostile")
    jobs = list(_jobs(folder))
    return {name: outcome for (name, _), outcome in zip(jobs, tried((job for _, job in jobs), folder), strict=True)}


def test_no_file_ends_in_a_traceback(outcomes):
    assert {name: outcome.output for name, outcome in outcomes.items() if outcome.failed} == {}


def test_no_file_takes_more_than_the_budget(outcomes):
    assert {name: (outcome.seconds, outcome.bytes) for name, outcome in outcomes.items() if outcome.over_budget} == {}


def test_each_file_is_refused_in_one_line(outcomes):
    assert {name: outcome.status for name, outcome in outcomes.items() if outcome.status != 2} == {}
    files = {name: outcome for name, outcome in outcomes.items() if ": " in name and "specification:" not in name}
    assert {name: outcome.output for name, outcome in files.items() if outcome.output.count("\n") != 1} == {}


def test_the_refusal_of_a_large_file_says_how_to_allow_it(outcomes):
    over = [name for name, outcome in outcomes.items() if "AUTODUAL_FILE_BUDGET=" in outcome.output]
    assert {"npz: a bomb of 0.24 GB of bytes", "torch.export: 10,000 nodes", "torch.save: a slow pool"} <= set(over)
