"""Recorded operations as one function of Python, without what is the same each time or has been computed already."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autodual.network.recorded_operations import SMALL, Condition, RecordedOperations, Slot, Step

#: Of the inputs: the results, or None where a condition does not hold, so that the run goes another way.
Program = Callable[..., "tuple[Tensor, ...] | None"]

# The functions that Python calls have less to look up than operations by their names, and do the same.
_FUNCTIONS = frozenset((
    "abs", "add", "addcmul", "addcmul_", "addmm", "addmv", "amax", "amin", "any", "bitwise_and", "bitwise_not",
    "bitwise_or", "bmm", "cat", "clamp", "clamp_", "clone", "div", "eq", "expand", "fmax", "fmin", "ge", "gt",
    "gt_", "index_select", "isnan", "le", "logical_and", "logical_not", "lt", "maximum", "minimum", "mm", "mul",
    "mul_", "nan_to_num", "ne", "neg", "neg_", "permute", "relu", "select", "squeeze", "sub", "sub_", "sum", "t",
    "transpose", "unsqueeze", "view", "where", "zeros",
))  # fmt: skip
_OTHER_NAMES: dict[str, Any] = {"hardtanh": torch._C._nn.hardtanh, "_unsafe_view": Tensor.view}


def program_of(recording: RecordedOperations, results: Sequence[Slot]) -> Program:
    """The function that does again what was recorded.

    Args:
        recording: without a refusal.
        results: which values to return.
    """
    return _Writer(recording, results).function()


class _Line(NamedTuple):
    """A line of a program, the variables that it sets and reads, and whether it does something else as well."""

    text: str
    made: tuple[str, ...]
    used: tuple[str, ...]
    acts: bool


class _Writer:
    """Writes the source of a program, from the first operation to the last."""

    def __init__(self, recording: RecordedOperations, results: Sequence[Slot]):
        self.recording = recording
        self.results = results
        #: Memory that is handed out: what lies there is nobody else's.
        self.own = {recording.root(one) for one in results}
        self.names = {number: f"v{number}" for number in recording.inputs}
        self.lines: list[_Line] = []
        #: What lines call and read beside the inputs, and its name.
        self.scope: dict[str, Any] = {}
        self.scope_names: dict[Any, str] = {}
        #: By call, the variables that hold its results already.
        self.known: dict[str, tuple[str, ...]] = {}
        for slot, value in recording.constants.items():
            self.names[slot.number] = self._outside(value)

    def function(self) -> Program:
        for number, step in enumerate(self.recording.steps):
            if isinstance(step, Condition):
                name = self.names[step.slot.number]
                self.lines.append(_Line(f"if bool({name}) is not {step.answer}: return None", (), (name,), True))
            else:
                self._write(number, step)
        exec(compile(self._source(), "<bounds>", "exec"), self.scope)
        return self.scope["program"]

    def _write(self, number: int, step: Step) -> None:
        used = self._slots((*step.arguments, *step.keywords.values()))
        call, pure = self._call(step), self._pure(number, step, used)
        read = tuple(self.names[one.number] for one in used)
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
        if pure and (step.size <= SMALL or all(one.number in self.recording.roots for one in step.results)):
            self.known[call] = names
        self.names.update({one.number: name for one, name in zip(step.results, names)})

    def _pure(self, number: int, step: Step, used: Sequence[Slot]) -> bool:
        """Whether the operation has no effect but its results, and nobody else changes these or what it reads later."""
        roots = {self.recording.root(one) for one in (*step.results, *used)}
        changed = any(self.recording.changes.get(root, -1) >= number for root in roots)
        return not (step.nature.changes or changed) and self.own.isdisjoint(roots)

    def _slots(self, value: Any) -> list[Slot]:
        if isinstance(value, Slot):
            return [value]
        return [one for part in value for one in self._slots(part)] if isinstance(value, tuple) else []

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
        alive, lines = set(results), [f"    return {', '.join(results)},"]
        for line in reversed(self.lines):
            if not line.acts and alive.isdisjoint(line.made):
                continue
            last = {name for name in (*line.made, *line.used) if name not in self.scope} - alive
            alive |= last
            lines.append(f"    {line.text}" if not last else f"    {line.text}\n    del {', '.join(sorted(last))}")
        head = f"def program({', '.join(f'v{number}' for number in self.recording.inputs)}):"
        return "\n".join([head, *reversed(lines)])
