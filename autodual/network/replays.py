"""Calls of one kind, done again without Python between their operations: recorded once, and replayed.

What a call does depends on the shapes and kinds of its tensors, on its options, and on the few truth values that it
asks for on its way. So from one run a call is known as a list of operations and conditions. Later calls of the kind run
these alone; one in which a condition does not hold starts again in the usual way.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, is_dataclass
from itertools import count
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from autodual.bounds import mapped, tensors_of
from autodual.measured import measured
from autodual.network.result import DualResult
from autodual.recordings import Program, RecordedOperations, Walk, program_of, the_same, unwatched
from autodual.registration import ours

# Calls of a kind that are answered in the usual way before one is recorded: recording takes as long as two to ten.
USUAL = 6
# Kinds of calls that are kept, and how many more conditions may fail than hold before a kind is given up.
_MOST, _FAILURES = 16, 8
_FIXED = (int, str, bool, type(None), torch.dtype, torch.device, torch.Size)


class Replays:
    """The kinds of calls that a network has answered lately, each with what is known of it."""

    def __init__(self) -> None:
        self._kinds: OrderedDict[Hashable, _Kind] = OrderedDict()

    def __deepcopy__(self, memo: Any) -> Replays:
        return Replays()

    def __reduce__(self) -> tuple[type[Replays], tuple[()]]:
        return Replays, ()

    def result(self, work: Callable[[], DualResult], options: Hashable, about: Any) -> DualResult:
        """What `work` returns.

        Args:
            work: depends on the options and on what it is about, and on nothing else that can change.
            options: compared as they are.
            about: compared by its numbers, words and kinds of tensors, so that objects made anew for each call are the
                same, and values of tensors do not count. With anything else in it, such as a set of a user's own class,
                nothing is replayed: what that reads may change unseen.
        """
        if not unwatched():
            return work()
        walk = Walk(ours)
        walk.add(about)
        if not walk.known:
            return work()
        key = (options, *vars(measured).values(), *walk.parts)
        try:
            kind = self._kinds.pop(key, None) or _Kind()
        except TypeError:  # something cannot be compared
            return work()
        self._kinds[key] = kind  # the latest one
        if len(self._kinds) > _MOST:
            self._kinds.popitem(last=False)
        return kind.result(work, walk.tensors)


class _Kind:
    """Calls of one kind: seen a few times, recorded, tried beside the usual way once, and replayed from then on."""

    def __init__(self) -> None:
        self.seen = 0
        self.useful = True
        self.tried = False
        self.failures = 0
        self.program: Program | None = None
        self.made_of: Callable[[Sequence[Tensor]], DualResult]

    def result(self, work: Callable[[], DualResult], tensors: list[Tensor]) -> DualResult:
        if self.seen < USUAL or not self.useful:
            self.seen += 1
            return work()
        if self.program is None:
            return self._record(work, tensors)
        found = self.program(*tensors)
        if found is None:
            self.failures += 1
            self.useful = self.failures <= _FAILURES
            return work()
        if not self.tried:
            usual = work()
            self.useful = the_same(found, tensors_of(usual))
            self.tried = True  # after that: another thread may be here too
            return usual
        self.failures = max(0, self.failures - 1)
        return self.made_of(found)

    def _record(self, work: Callable[[], DualResult], tensors: list[Tensor]) -> DualResult:
        with RecordedOperations(tensors) as recording:
            found = work()
        slots = [recording.slot(one) for one in tensors_of(found)]
        known = [one for one in slots if one is not None]
        self.useful = recording.refusal is None and len(known) == len(slots)
        if self.useful:
            numbers = count()
            numbered: Any = lambda _: _Number(next(numbers))  # noqa: E731
            self.made_of = _maker(mapped(found, numbered))
            self.program = program_of(recording, known)
        return found


@dataclass(frozen=True)
class _Number:
    """Stands for one of several tensors."""

    number: int


def _maker(thing: Any) -> Callable[[Sequence[Tensor]], Any]:
    """Makes things like this one, with tensors in place of their numbers."""
    if isinstance(thing, _Number):
        return itemgetter(thing.number)
    if isinstance(thing, dict):
        parts = {key: _maker(value) for key, value in thing.items()}
        return lambda tensors: {key: part(tensors) for key, part in parts.items()}
    if not is_dataclass(thing):
        return lambda _: thing
    kind, fields = type(thing), vars(thing)
    fixed = {name: value for name, value in fields.items() if isinstance(value, _FIXED)}
    made = {name: _maker(value) for name, value in fields.items() if name not in fixed}

    def make(tensors: Sequence[Tensor]) -> Any:
        new = object.__new__(kind)
        vars(new).update(fixed)
        for name, part in made.items():
            vars(new)[name] = part(tensors)
        return new

    return make
