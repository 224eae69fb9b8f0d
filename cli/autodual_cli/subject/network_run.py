"""How a network is run where no bound is needed: as the module, program or file that it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import torch
from torch import nn
from torch.export import ExportedProgram

from autodual.attacks.base import Function
from autodual.certification.verdicts.counterexample_confirmation import Replay, runtime_replay
from autodual.frontend.onnx import OnnxNetwork
from autodual.frontend.torch.tracing.program import batch_axis, input_placeholders, permitted_batches
from autodual_cli.subject.exported_programs import unguarded


@dataclass(frozen=True, eq=False)
class NetworkRun:
    """The network as a function of samples; `confirm`: as it is deployed; `words`: how both are run."""

    function: Function
    confirm: Function
    words: str


def network_run(model: nn.Module | ExportedProgram, dtype: torch.dtype, outputs: tuple[int, ...]) -> NetworkRun:
    """The run of a model in `dtype`, which is its own; its outputs for one sample have the shape `outputs`."""
    arithmetic = str(dtype).removeprefix("torch.")
    if isinstance(model, ExportedProgram):
        return _program_run(model, arithmetic)
    module = model.requires_grad_(False)  # in evaluation mode since it was loaded
    file = _onnx_file(module)
    if file is None:
        return NetworkRun(module, module, f"the module itself, in evaluation mode and {arithmetic}")
    words = f"the graph of the ONNX file, by PyTorch in {arithmetic}"
    replay = None if file.path is None else runtime_replay(str(file.path), file.output_name)
    if replay is None:
        return NetworkRun(module, module, f"{words}, which also confirms, as onnxruntime is missing or cannot run it")
    before = module[:-1] if isinstance(module, nn.Sequential) else nn.Identity()
    confirm = _runtime(before, replay, outputs)
    return NetworkRun(module, confirm, f"{words}; counterexamples are confirmed by onnxruntime")


def _onnx_file(module: nn.Module) -> OnnxNetwork | None:
    """The network of an ONNX file, alone or behind a normalisation."""
    last = module[-1] if isinstance(module, nn.Sequential) and len(module) else module
    return last if isinstance(last, OnnxNetwork) else None


def _runtime(before: nn.Module, replay: Replay, outputs: tuple[int, ...]) -> Function:
    """Runs one sample after the other in onnxruntime."""

    def function(points: torch.Tensor) -> torch.Tensor:
        fed = before(points).detach().cpu().numpy()
        found = numpy.stack([replay(numpy.ascontiguousarray(sample).reshape(-1)) for sample in fed])
        return torch.from_numpy(found).to(points).reshape(len(points), *outputs)

    return function


def _program_run(program: ExportedProgram, arithmetic: str) -> NetworkRun:
    module = unguarded(program)
    least, most = permitted_batches(program, batch_axis(input_placeholders(program)))
    words = f"the exported program, in {arithmetic}"
    if least == 1 and most is None:
        return NetworkRun(module, module, words)
    at_once = f"{least}" if least == most else f"{least} to {most or 'any number of'}"
    function = _in_batches(module, least, most)
    return NetworkRun(function, function, f"{words}, {at_once} samples at a time")


def _in_batches(module: nn.Module, least: int, most: int | None) -> Function:
    """Runs as many samples at once as the program permits; the last one is repeated where there are too few."""

    def function(points: torch.Tensor) -> torch.Tensor:
        parts = points.split(most or len(points))
        return torch.cat([module(_filled(part, least))[: len(part)] for part in parts])

    return function


def _filled(points: torch.Tensor, least: int) -> torch.Tensor:
    missing = least - len(points)
    return points if missing <= 0 else torch.cat([points, points[-1:].expand(missing, *points.shape[1:])])
