"""How `autodual verify` prints a verdict."""

from __future__ import annotations

from collections.abc import Iterator

import numpy

from autodual.certification import Verdict, VerdictStatus
from autodual.properties import Property
from autodual_cli.output.assignment_files import assigned


def format_verdict(verdict: Verdict, goal: Property, *, standard: bool = False, alone: bool = False) -> str:
    """The verdict on a line of its own and, after sat, the counterexample, unless the verdict is wanted `alone`.

    It is written as VNN-COMP does or, where `standard`, as VNN-LIB 2.0 does: by the names that the property declares.
    """
    if verdict.status is VerdictStatus.TIMEOUT:
        return overtime(standard=standard)
    if alone or verdict.inputs is None or verdict.outputs is None:
        return str(verdict.status)
    if standard and goal.declarations:
        return "\n".join([str(verdict.status), *_assignment(goal, verdict.inputs, verdict.outputs)])
    entries = [f"({name}_{place} {float(value)!r})" for name, values in (("X", verdict.inputs), ("Y", verdict.outputs))
               for place, value in enumerate(values)]  # fmt: skip
    return f"{verdict.status}\n(" + "\n".join(entries) + ")"


def _assignment(goal: Property, inputs: numpy.ndarray, outputs: numpy.ndarray) -> Iterator[str]:
    """A line `NAME TYPE [SHAPE]` for each declared variable, in order, and a line for each of its entries."""
    for variable, entries in assigned(goal, inputs, outputs):
        yield f"{variable.name} {variable.element} [{','.join(map(str, variable.shape))}]"
        yield from (repr(float(value)) for value in entries)


def overtime(*, standard: bool) -> str:
    """The verdict where the time was up, as the two forms of the command call it."""
    return "timed-out" if standard else "timeout"


def verdict_summary(verdict: Verdict, goal: Property) -> str:
    """One line about how a verdict was reached."""
    total = sum(len(case.conjunctions) for case in goal.cases)
    words = f"{len(goal.cases)} case(s) with {total} conjunction(s)"
    if goal.vacuous:
        words += f", {goal.vacuous} more that nothing satisfies"
    parts = f", {verdict.parts} parts" if verdict.parts else ""
    opened = f", {verdict.undecided} case(s) undecided" if verdict.inputs is None and verdict.undecided else ""
    return f"{verdict.status} by {verdict.method} in {verdict.seconds:.2f} s ({words}{parts}{opened})"
