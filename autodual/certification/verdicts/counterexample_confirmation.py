"""Confirms suspected counterexamples by running the network itself; what bounds or attacks computed is not trusted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy
import torch
from torch import Tensor

from autodual.frontend.onnx.model_file import read_model
from autodual.frontend.onnx.runtime import Session
from autodual.network import DualNetwork
from autodual.properties import Property

_TYPES = {"tensor(float)": numpy.float32, "tensor(double)": numpy.float64}

#: The network's outputs `[K]` for one input of float32 values `[D]`, both flattened.
Replay: TypeAlias = Callable[[numpy.ndarray], numpy.ndarray]


@dataclass(frozen=True, eq=False)
class Counterexample:
    """An input `[D]` in a case's box and the outputs `[K]` that violate it there, both float64."""

    inputs: numpy.ndarray
    outputs: numpy.ndarray
    case: int


@dataclass(frozen=True, eq=False)
class Judge:
    """Decides whether points are counterexamples of a property."""

    goal: Property
    replay: Replay

    def confirm(self, point: Tensor, case: int) -> Counterexample | None:
        """The counterexample that a point `[*shape]` is to one case, or None.

        The network runs on the point rounded to float32. Where an interval of the box holds no float32 number, the
        input is the number of the interval that is rounded to what the network saw.
        """
        single = point.detach().flatten().to("cpu", torch.float32).numpy()
        box = self.goal.cases[case]
        inputs = numpy.clip(single.astype(numpy.float64), box.lower, box.upper)
        # The network has to have run on exactly the float32 numbers that the inputs round to.
        if not (inputs.astype(numpy.float32) == single).all() or not box.contains(inputs):
            return None
        outputs = numpy.asarray(self.replay(single), numpy.float64).reshape(-1)
        if outputs.shape != (self.goal.output_size,):
            return None
        outputs = self.goal.completed(inputs, outputs)
        if not any(part.holds(outputs) for part in box.conjunctions):
            return None
        return Counterexample(inputs, outputs, case)


def module_replay(dual: DualNetwork, shape: tuple[int, ...], device: torch.device) -> Replay:
    """Runs the network's graph in inference mode and float32."""

    def replay(inputs: numpy.ndarray) -> numpy.ndarray:
        x = torch.from_numpy(inputs.reshape(1, *shape)).to(device, torch.float32)
        with torch.no_grad():
            return dual.outputs(x).flatten().double().cpu().numpy()

    return replay


def runtime_replay(path: str, output: str | None = None, content: bytes | None = None) -> Replay | None:
    """Runs an ONNX file (plain, or compressed as .gz) in onnxruntime; None where that is not installed or cannot.

    output: the name of the output wanted, by default the first. content: in place of what the file holds.
    """
    try:
        data = Path(path).read_bytes() if content is None else content
        file = read_model(path, data, Path(path).parent)
        wanted = output or file.model.graph.output[0].name
        session = Session(file.runnable(wanted))
        replay = _session_replay(session, wanted)
        replay(numpy.zeros(sum(map(math.prod, _shapes(session))), numpy.float32))
    except Exception:  # onnxruntime raises errors of many kinds; a model that it cannot run is not therefore wrong
        return None
    return replay


def _session_replay(session: Session, output: str) -> Replay:
    """Runs a session on all inputs; where these hold a batch and a point is one sample, on that many copies of it."""
    feeds, shapes = session.inputs, _shapes(session)
    types = [_TYPES[feed.type] for feed in feeds]
    sizes = numpy.array([math.prod(shape) for shape in shapes])

    def replay(inputs: numpy.ndarray) -> numpy.ndarray:
        copies = int(sizes.sum()) // inputs.size
        parts = numpy.split(inputs, numpy.cumsum(sizes // copies)[:-1])
        fed = {
            feed.name: numpy.tile(part, copies).reshape(shape).astype(kind)
            for feed, part, shape, kind in zip(feeds, parts, shapes, types)
        }
        (found,) = session.run([output], fed)
        outputs = numpy.asarray(found, numpy.float64).reshape(-1)
        return outputs[: outputs.size // copies]

    return replay


def _shapes(session: Session) -> list[list[int]]:
    """The inputs' shapes, with 1 for every extent that the file leaves open."""
    return [
        [extent if isinstance(extent, int) and extent > 0 else 1 for extent in feed.shape] for feed in session.inputs
    ]
