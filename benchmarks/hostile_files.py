"""Gives the command line hostile files of every format, and counts tracebacks and files above the budget.

    python benchmarks/hostile_files.py [--mutations 300] [--formats torch.save npz …] [--commands cycle] [--only attack]

Hand-made files come from tests/support/hostile; the others are honest files that were truncated, had bits flipped, or
had their claims multiplied. Each is given to the commands that read its format, in a process of its own. A file is
above the budget if a command takes more than 10 s of processor time, or 1 GiB beyond the imports.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.hostile.field import place, surroundings, tried
from support.hostile.format import Format, Surroundings, Writer, content
from support.hostile.formats import FORMATS
from support.hostile.mutations import mutations
from support.hostile.words import calls


def main() -> int:
    """Print a line for each format and each failed file; returns 1 if one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=300, help="of each honest file")
    parser.add_argument("--formats", nargs="*", help="names of formats; all by default")
    parser.add_argument("--commands", choices=("all", "first", "cycle"), default="cycle", help="which read each file")
    parser.add_argument("--only", metavar="COMMAND", help="one command, such as attack, of those that read a format")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failures = [0, 0]
    with tempfile.TemporaryDirectory() as directory:
        around = surroundings(Path(directory) / "around")
        for format in FORMATS:
            if options.formats and format.name not in options.formats:
                continue
            jobs = _jobs(format, around, options)
            _report(format.name, jobs, Path(directory), failures)
        if not options.formats:
            _report("command line", ((name, call, None) for name, call in calls(around)), Path(directory), failures)
    print(f"{failures[0]} tracebacks, {failures[1]} files above the budget")  # noqa: T201
    return int(any(failures))


def _jobs(
    format: Format, around: Surroundings, options: argparse.Namespace
) -> Iterator[tuple[str, list[str], Path | None]]:
    """A name, the arguments of a command, and the folder to delete afterwards (with the last command of a file)."""
    for number, (name, writer) in enumerate(_files(format, options)):
        folder = around.folder.parent / "hostile"
        path = place(format, writer, folder)
        commands = [one for one in format.commands(path, around) if options.only in (None, one[0])]
        if not commands:
            shutil.rmtree(folder)
            return
        if options.commands != "all":
            commands = [commands[number % len(commands) if options.commands == "cycle" else 0]]
        for command in commands[:-1]:
            yield name, command, None
        yield name, commands[-1], folder


def _files(format: Format, options: argparse.Namespace) -> Iterator[tuple[str, Writer]]:
    yield from format.hostile()
    for honest in format.valid():
        for name, data in mutations(honest, options.seed, options.mutations):
            yield name, content(data)


def _report(name: str, jobs: Iterator[tuple[str, list[str], Path | None]], folder: Path, failures: list[int]) -> None:
    count, accepted, longest, largest = 0, 0, 0.0, 0
    names: list[tuple[str, Path | None]] = []

    def commands() -> Iterator[list[str]]:
        for label, command, over in jobs:
            names.append((label, over))
            yield command

    for outcome in tried(commands(), folder):
        label, over = names[-1]
        count += 1
        accepted += outcome.status == 0
        longest, largest = max(longest, outcome.seconds), max(largest, outcome.bytes)
        failures[0] += outcome.failed
        failures[1] += outcome.over_budget
        if outcome.failed or outcome.over_budget:
            last = (outcome.output.strip().splitlines() or [""])[-1]
            cost = f"{outcome.seconds:.1f} s, {outcome.bytes / 2**20:.0f} MiB"
            print(f"  {label}: {outcome.arguments[0]}, status {outcome.status}, {cost}: {last[:160]}", flush=True)  # noqa: T201
        if over is not None:
            shutil.rmtree(over)
    most = f"at most {longest:.1f} s and {largest / 2**20:.0f} MiB"
    print(f"{name}: {count} files, {accepted} accepted, {most}", flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
