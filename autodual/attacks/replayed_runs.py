"""Runs of a network that are recorded once and replayed from then on.

An attack runs one network many times. PyTorch walks through its modules and builds a graph each time, which in small
networks takes longer than the numbers. What is the same each time is kept here: the operations of a run and of the
way back.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from autodual.attacks.base import Function
from autodual.attacks.input_gradient import InputGradients
from autodual.attacks.known_modules import Known, known
from autodual.attacks.network_runs import NetworkRun, ReplayedRun, UsualRun
from autodual.recordings import Condition, Program, RecordedOperations, over_batches, program_of, the_same

# Kinds of runs that are kept of a network.
_MOST = 16


@dataclass(eq=False)
class Kind:
    """Runs that consist of the same operations.

    program: of the network's tensors: of points, as `program_of` has it. tried: it has given what a usual run gave.
    """

    useful: bool = True
    program: Program | None = None
    tried: bool = False


KINDS: WeakKeyDictionary[nn.Module, dict[Hashable, Kind]] = WeakKeyDictionary()


class NetworkRuns:
    """The runs of one function during one attack. What is learned of a network serves later attacks, too."""

    def __init__(self, function: Function):
        self._function = function
        self._gradients = InputGradients()
        self._asked = False
        self._known: Known | None = None
        #: By whether there is one sample alone, which some operations treat in another way.
        self._replays: dict[bool, _Replay | None] = {}

    def at(self, points: Tensor) -> NetworkRun:
        """The run at points `[N, *shape]`."""
        if not self._asked:
            self._asked = True  # what is run only once is not worth knowing
            return self._usual(points)
        alone = len(points) == 1
        if alone not in self._replays:
            self._replays[alone] = self._replay(points)
        replay = self._replays[alone]
        return self._usual(points) if replay is None else replay.at(points)

    def _usual(self, points: Tensor) -> NetworkRun:
        return UsualRun(self._function, points, self._gradients)

    def _replay(self, points: Tensor) -> _Replay | None:
        if not self._replays:
            self._known = known(self._function)
        found = self._known
        if found is None or len(points) == 0 or points.device.type != "cpu" or not points.is_contiguous():
            return None
        kinds, key = KINDS.setdefault(found.module, {}), (found.key, points.shape[1:], points.dtype, len(points) == 1)
        if key not in kinds and len(kinds) == _MOST:
            kinds.pop(next(iter(kinds)))
        return _Replay(kinds.setdefault(key, Kind()), found.tensors, self._usual)


class _Replay:
    """What stands in for the runs of one kind during one attack."""

    def __init__(self, kind: Kind, tensors: list[Tensor], usual: Callable[[Tensor], NetworkRun]):
        self.kind = kind
        self.tensors = tensors
        self.usual = usual
        self._program: Program | None = None

    def at(self, points: Tensor) -> NetworkRun:
        kind = self.kind
        if not kind.useful:
            return self.usual(points)
        if kind.program is None:
            return _RecordedRun(self, points)
        if self._program is None:
            # Of a network without tensors, such as an identity, nothing is known before the points are.
            self._program = kind.program(*self.tensors) if self.tensors else kind.program
        run = ReplayedRun(self._program(points))
        return run if kind.tried else _TriedRun(kind, run, self.usual(points))


class _TriedRun(NetworkRun):
    """A usual run beside a replayed one, which has to give the same."""

    def __init__(self, kind: Kind, replayed: NetworkRun, usual: NetworkRun):
        self._kind, self._replayed, self._usual = kind, replayed, usual
        self.outputs = usual.outputs

    def gradient(self, slope: Tensor) -> Tensor:
        runs = self._replayed, self._usual
        found, usual = ((run.outputs, run.gradient(slope)) for run in runs)
        self._kind.useful = the_same(found, usual)
        self._kind.tried = True
        return usual[1]


class _RecordedRun(NetworkRun):
    """A usual run that is recorded, and with it another one of one sample more: what differs is the batch size."""

    def __init__(self, replay: _Replay, points: Tensor):
        self._replay, self._points = replay, points
        self._recording = RecordedOperations([points, *replay.tensors])
        with self._recording:
            self._run = replay.usual(points)
        self.outputs = self._run.outputs

    def gradient(self, slope: Tensor) -> Tensor:
        replay, gradient = self._replay, self._back(slope)
        recording, place = self._recording, self._recording.slot(gradient)
        if recording.refusal is None and len(slope) > 1:
            other = _RecordedRun(replay, _one_more(self._points))
            other._back(_one_more(slope))
            recording = over_batches(recording, other._recording)
        asks = any(isinstance(step, Condition) for step in recording.steps)
        replay.kind.useful = recording.refusal is None and place is not None and not asks
        if place is not None and replay.kind.useful:
            replay.kind.program = program_of(recording, [place], len(replay.tensors))
        return gradient

    def _back(self, slope: Tensor) -> Tensor:
        with self._recording:
            self._recording.exchange(self.outputs, slope)
            return self._run.gradient(slope)


def _one_more(values: Tensor) -> Tensor:
    return torch.cat([values, values[:1]])
