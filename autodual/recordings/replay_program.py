"""Recorded operations as one function of Python, without what is the same each time or has been computed already."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autodual.recordings.recorded_operations import (
    SMALL,
    Condition,
    Exchange,
    Extent,
    RecordedOperations,
    Slot,
    Step,
)

#: Of the inputs: the results, or None where a condition does not hold, so that the run goes another way. A run that
#: exchanges values is a generator, which yields what the run gives and is sent what it takes; the results come last.
Program = Callable[..., Any]

# The functions that Python calls have less to look up than operations by their names, and do the same.
_FUNCTIONS = frozenset((
    "abs", "add", "addcmul", "addcmul_", "addmm", "addmv", "amax", "amin", "any", "bitwise_and", "bitwise_not",
    "bitwise_or", "bmm", "cat", "clamp", "clamp_", "clone", "div", "eq", "expand", "fmax", "fmin", "ge", "gt",
    "gt_", "index_select", "isnan", "le", "logical_and", "logical_not", "lt", "maximum", "minimum", "mm", "mul",
    "mul_", "nan_to_num", "ne", "neg", "neg_", "permute", "relu", "select", "squeeze", "sub", "sub_", "sum", "t",
    "transpose", "unsqueeze", "view", "where", "zeros",
))  # fmt: skip
# The name of the batch size in programs.
_BATCH = "n"
_OTHER_NAMES: dict[str, Any] = {"hardtanh": torch._C._nn.hardtanh, "_unsafe_view": Tensor.view}


def program_of(recording: RecordedOperations, results: Sequence[Slot], fixed: int = 0) -> Program:
    """The function that does again what was recorded.

    Args:
        recording: without a refusal.
        results: which values to return.
        fixed: how many of the last inputs are the same in many runs. If there are any, the program is a function of
            these that computes what depends on them alone, and returns the function of the others.
    """
    return _Writer(recording, results, fixed).function()


class _Line(NamedTuple):
    """A line of a program, the variables that it sets and reads, and whether it does something else as well."""

    text: str
    made: tuple[str, ...]
    used: tuple[str, ...]
    acts: bool


class _Writer:
    """Writes the source of a program, from the first operation to the last."""

    def __init__(self, recording: RecordedOperations, results: Sequence[Slot], fixed: int):
        self.recording = recording
        self.results = results
        given = [step.given for step in recording.steps if isinstance(step, Exchange)]
        #: Memory that is handed out: what lies there is nobody else's.
        self.own = {recording.root(one) for one in (*results, *given)}
        self.generates = bool(given)
        self.names = {number: f"v{number}" for number in recording.inputs}
        inputs, place = list(self.names.values()), len(self.names) - fixed
        self.inputs, self.fixed = inputs[:place], inputs[place:]
        #: Variables that are the same in many runs.
        self.lasting = set(self.fixed)
        self.lines = [_Line(f"{_BATCH} = {inputs[0]}.shape[0]", (_BATCH,), (inputs[0],), False)]
        #: What lines call and read beside the inputs, and its name.
        self.scope: dict[str, Any] = {}
        self.scope_names: dict[Any, str] = {}
        #: By call, the variables that hold its results already.
        self.known: dict[str, tuple[str, ...]] = {}
        for slot, value in recording.constants.items():
            self.names[slot.number] = self._constant(slot.number, value)

    def function(self) -> Program:
        for number, step in enumerate(self.recording.steps):
            if isinstance(step, Condition):
                name = self.names[step.slot.number]
                self.lines.append(_Line(f"if bool({name}) is not {step.answer}: return None", (), (name,), True))
            elif isinstance(step, Exchange):
                given, taken = self.names[step.given.number], f"v{step.taken.number}"
                self.lines.append(_Line(f"{taken} = yield {given}", (taken,), (given,), True))
                self.names[step.taken.number] = taken
            else:
                self._write(number, step)
        exec(compile(self._source(), "<recorded>", "exec"), self.scope)
        return self.scope["program"]

    def _constant(self, number: int, value: Tensor) -> str:
        """The variable of a tensor of Python's numbers: a new one each time if the run changes it or hands it out."""
        name = self._outside(value)
        if number not in self.own and number not in self.recording.changes:
            return name
        self.lines.append(_Line(f"v{number} = {name}.clone()", (f"v{number}",), (name,), False))
        return f"v{number}"

    def _write(self, number: int, step: Step) -> None:
        parts = self._parts((*step.arguments, *step.keywords.values()))
        used = [one for one in parts if isinstance(one, Slot)]
        call, pure = self._call(step), self._pure(number, step, used)
        read = tuple(_BATCH if isinstance(one, Extent) else self.names[one.number] for one in parts)
        if pure and call in self.known:
            names = self.known[call]
        elif step.idle:
            names = read[:1]
        elif pure and step.size <= SMALL and (step.value is not None or all(name in self.scope for name in read)):
            found = eval(call, self.scope) if step.value is None else step.value
            names = tuple(map(self._outside, (found,) if step.single else found))
        else:
            names = tuple(f"v{one.number}" for one in step.results)
            left = names[0] if step.single else f"{', '.join(names)},"
            self.lines.append(_Line(f"{left} = {call}", names, read, step.nature.changes))
            if pure and self.fixed and all(name in self.lasting or name in self.scope for name in read):
                self.lasting.update(names)
        if pure and (step.size <= SMALL or all(one.number in self.recording.roots for one in step.results)):
            self.known[call] = names
        self.names.update({one.number: name for one, name in zip(step.results, names)})

    def _pure(self, number: int, step: Step, used: Sequence[Slot]) -> bool:
        """Whether the operation has no effect but its results, and nobody else changes these or what it reads later."""
        roots = {self.recording.root(one) for one in (*step.results, *used)}
        changed = any(self.recording.changes.get(root, -1) >= number for root in roots)
        return not (step.nature.changes or changed) and self.own.isdisjoint(roots)

    def _parts(self, value: Any) -> list[Slot | Extent]:
        if isinstance(value, (Slot, Extent)):
            return [value]
        return [one for part in value for one in self._parts(part)] if isinstance(value, tuple) else []

    def _call(self, step: Step) -> str:
        named = [f"{name}={self._text(value)}" for name, value in step.keywords.items()]
        return f"{self._callee(step)}({', '.join([*map(self._text, step.arguments), *named])})"

    def _callee(self, step: Step) -> str:
        name = step.operation._schema.name.removeprefix("aten::")
        if name in _FUNCTIONS:
            return self._outside(getattr(torch, name, None) or getattr(Tensor, name))
        return self._outside(_OTHER_NAMES.get(name, step.operation))

    def _text(self, value: Any) -> str:
        if isinstance(value, Slot):
            return self.names[value.number]
        if isinstance(value, Extent):
            return _BATCH if value.times == 1 else f"{value.times} * {_BATCH}"
        if isinstance(value, tuple):
            return f"[{', '.join(map(self._text, value))}]"
        if value is None or isinstance(value, (bool, int, str)) or (isinstance(value, float) and math.isfinite(value)):
            return repr(value)
        return self._outside(value)

    def _outside(self, value: Any) -> str:
        """The name of something that is the same in each run."""
        key = id(value) if isinstance(value, Tensor) else (type(value), str(value), value if callable(value) else None)
        if key not in self.scope_names:
            self.scope_names[key] = name = f"c{len(self.scope_names)}"
            self.scope[name] = value
        return self.scope_names[key]

    def _source(self) -> str:
        """The program's text, without results that nobody reads; values are let go after the last line that does."""
        results = [self.names[one.number] for one in self.results]
        lasting, alive, kept = self.lasting, set(results), []
        for line in reversed(self.lines):
            if line.acts or not alive.isdisjoint(line.made):
                last = {name for name in (*line.made, *line.used) if name not in self.scope} - alive
                alive |= last
                kept.append((line, last - lasting))
        lines = {True: list[str](), False: list[str]()}
        for line, last in reversed(kept):
            lines[not lasting.isdisjoint(line.made)] += [line.text] + [f"del {', '.join(sorted(last))}"] * bool(last)
        lines[False].append(f"{'yield' if self.generates else 'return'} {', '.join(results)},")
        if not self.fixed:
            return _definition("program", self.inputs, lines[False])
        inner = _definition("run", self.inputs, lines[False]).split("\n")
        return _definition("program", self.fixed, [*lines[True], *inner, "return run"])


def _definition(name: str, arguments: Sequence[str], lines: Sequence[str]) -> str:
    return "\n".join([f"def {name}({', '.join(arguments)}):", *(f"    {line}" for line in lines)])
