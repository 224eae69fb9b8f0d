"""What `autodual verify` does, and the form of its answer."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch
from torch import nn
from torch.export import ExportedProgram

from autodual import __version__
from autodual.attacks import Pgd
from autodual.certification import Verdict, VerdictStatus, verify
from autodual.certification.verdicts.counterexample_confirmation import (
    Counterexample,
    Judge,
    Replay,
    module_replay,
    runtime_replay,
)
from autodual.certification.verdicts.deadline import TimeUp, deadline
from autodual.compiler import compile_dual
from autodual.errors import ContradictionError, InvalidInputError
from autodual.files import LoadedModel, load_model_file
from autodual.files.cost import require_affordable
from autodual.network import DualNetwork
from autodual.properties import Property, load_property
from autodual.report import build_document, write_document
from autodual.report.verdicts import summarise_verdicts, verdict_row
from autodual_cli.output.contradiction_file import kept
from autodual_cli.output.provenance import file_record, model_records, provenance, weight_file_digest
from autodual_cli.output.targets import Target, check_targets, sole_writer_of
from autodual_cli.subject.devices import find_device
from autodual_cli.subject.exported_programs import unguarded
from autodual_cli.subject.model_and_data import output_shape
from autodual_cli.tasks.model_inspection import infer_shape

# Seconds after the timeout within which the library should have stopped by itself.
_GRACE = 1.0
ATTACK_STEPS = 30


@dataclass(frozen=True)
class Request:
    """The options of the command. `start` is the time.monotonic() from which the timeout counts; `standard`: whether
    the command was given in the form of VNN-LIB 2.0."""

    model: Path
    network: str | None
    goal: Path
    timeout: float | None
    start: float
    input_shape: tuple[int, ...] | None
    device: str
    dtype: str
    memory: int | None
    seed: int
    attack: bool
    exact_seconds: float | None
    bracket: bool
    json: Path | None
    overwrite: bool
    quiet: bool
    standard: bool


@dataclass(frozen=True, eq=False)
class _Loaded:
    """What was read: the model's record and module, the property, and the shapes of a sample's inputs."""

    model: LoadedModel
    module: nn.Module
    goal: Property
    shapes: tuple[tuple[int, ...], ...]
    device: torch.device

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a sample; several inputs are joined into a vector."""
        return self.shapes[0] if len(self.shapes) == 1 else (sum(map(math.prod, self.shapes)),)

    def example(self, dtype: torch.dtype) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """An example input for `compile_dual`."""
        zeros = tuple(torch.zeros(1, *shape, device=self.device, dtype=dtype) for shape in self.shapes)
        return zeros[0] if len(zeros) == 1 else zeros


def run_verification(request: Request) -> None:
    """Print the verdict and, after sat, the counterexample; write the JSON document if one is asked for.

    Raises:
        AutodualError: a file cannot be read or used, or the property does not fit the network.
    """
    check_targets([request.json], [request.model, request.goal], overwrite=request.overwrite)
    with sole_writer_of([request.json]):
        _run(request)


def _run(request: Request) -> None:
    try:
        with _deadline(request):
            loaded = _load(request)
    except TimeUp:
        click.echo(_overtime(standard=request.standard))
        click.echo("The time was up before the files were read; no document is written.", err=True)
        return
    try:
        verdict = _verdict(request, loaded)
    except ContradictionError as error:
        raise kept(error, _settings(request, loaded), request.json) from None
    click.echo(format_verdict(verdict, standard=request.standard))
    if not request.quiet:
        click.echo(_summary(verdict, loaded.goal), err=True)
    if request.json is not None:
        row = _row(request, loaded, verdict)
        seconds = time.monotonic() - request.start
        document = build_document(
            "autodual.verify/1", _settings(request, loaded), summarise_verdicts([row], seconds), [row]
        )
        Target(request.json, request.overwrite).write(write_document, document)


@dataclass(frozen=True, eq=False)
class Again:
    """A verdict found again, for a replay to compare; nothing is printed or written.

    confirm: runs the network on an input `[D]`, and returns it with its outputs where it violates the property's case
    of that number.
    """

    row: dict[str, Any]
    settings: dict[str, Any]
    confirm: Callable[[torch.Tensor, int], Counterexample | None]


def verdict_again(request: Request, check: Callable[[dict[str, Any]], None]) -> Again:
    """Find the request's verdict again.

    `check` sees the settings once the files are read, and raises where they are not the ones expected.
    """
    loaded = _load(request)
    settings = _settings(request, loaded)
    check(settings)

    def confirm(point: torch.Tensor, case: int) -> Counterexample | None:
        if point.numel() != loaded.goal.input_size or not 0 <= case < len(loaded.goal.cases):
            return None
        dual = _compiled(request, loaded)
        run = _replay(loaded.model) or module_replay(dual, tuple(loaded.shape), loaded.device)
        return Judge(loaded.goal, run).confirm(point, case)

    return Again(_row(request, loaded, _verdict(request, loaded)), settings, confirm)


def _row(request: Request, loaded: _Loaded, verdict: Verdict) -> dict[str, Any]:
    return {**verdict_row(0, verdict, loaded.shape), "property": str(request.goal)}


def format_verdict(verdict: Verdict, *, standard: bool = False) -> str:
    """The verdict on a line of its own and, after sat, the counterexample as VNN-COMP writes it."""
    if verdict.status is VerdictStatus.TIMEOUT:
        return _overtime(standard=standard)
    if verdict.inputs is None or verdict.outputs is None:
        return str(verdict.status)
    entries = [f"({name}_{place} {float(value)!r})" for name, values in (("X", verdict.inputs), ("Y", verdict.outputs))
               for place, value in enumerate(values)]  # fmt: skip
    return f"{verdict.status}\n(" + "\n".join(entries) + ")"


def _overtime(*, standard: bool) -> str:
    """The verdict where the time was up, as the two forms of the command call it."""
    return "timed-out" if standard else "timeout"


def _load(request: Request) -> _Loaded:
    device = find_device(request.device)
    goal = load_property(request.goal)
    if request.network is not None and goal.network not in (None, request.network):
        raise InvalidInputError(
            f"'{request.goal}' declares the network '{goal.network}', not '{request.network}'; give it with "
            f"--network {goal.network}=MODEL."
        )
    model = load_model_file(request.model)
    shapes = _shapes(model.model, goal, request.input_shape)
    if sum(map(math.prod, shapes)) != goal.input_size:
        raise InvalidInputError(
            f"'{request.goal}' is about {goal.input_size} inputs, but a sample of the network has the shape "
            f"{' and '.join('x'.join(map(str, shape)) for shape in shapes)}; check that the two belong together, or "
            "give --input-shape."
        )
    _check_order(model.model, goal, shapes)
    module = unguarded(model.model) if isinstance(model.model, ExportedProgram) else model.model
    loaded = _Loaded(model, module.to(device), goal, shapes, device)
    example = loaded.example(getattr(torch, request.dtype))
    require_affordable(str(request.model), module, [example] if isinstance(example, torch.Tensor) else example)
    return loaded


def _shapes(
    model: nn.Module | ExportedProgram, goal: Property, given: tuple[int, ...] | None
) -> tuple[tuple[int, ...], ...]:
    """The shape of each input of one sample: what the network says, what was given, or what can be found."""
    known = getattr(model, "input_shapes", None)
    if known is not None and (given is None or len(known) > 1):
        single = getattr(model, "single_shapes", ())
        of_one = bool(single) and sum(map(math.prod, single)) == goal.input_size
        return tuple(tuple(shape) for shape in (single if of_one else known))
    if given is not None:
        return (given,)
    declared = goal.inputs[0].shape
    for shape in ([declared[1:]] if len(declared) > 1 and declared[0] == 1 else []) + [declared]:
        try:
            output_shape(model, torch.zeros(2, *shape))
        except InvalidInputError:
            continue
        return (tuple(shape),)
    return (infer_shape(model),)


def _check_order(model: nn.Module | ExportedProgram, goal: Property, shapes: tuple[tuple[int, ...], ...]) -> None:
    """Refuse a property of several inputs that does not declare them as the network has them, one by one."""
    names = getattr(model, "input_names", None)
    declared = [variable.onnx_name for variable in goal.inputs]
    if names is not None and None not in declared and declared != list(names):
        raise InvalidInputError(
            f"The property's inputs are {', '.join(map(str, declared))} in the ONNX file, but those of the network are "
            f"{', '.join(names)}; declare them all, in this order."
        )
    sizes = [variable.size for variable in goal.inputs]
    if len(sizes) > 1 and sizes != [math.prod(shape) for shape in shapes]:
        raise InvalidInputError("The property does not declare the network's inputs one by one and in their order.")


def _left(request: Request) -> float | None:
    """Seconds until the timeout, or None."""
    return None if request.timeout is None else request.timeout - (time.monotonic() - request.start)


def _deadline(request: Request) -> AbstractContextManager[None]:
    left = _left(request)
    return deadline(None if left is None else left + _GRACE)


def _verdict(request: Request, loaded: _Loaded) -> Verdict:
    try:
        with _deadline(request):
            return verify(
                _compiled(request, loaded),
                loaded.goal,
                timeout=_left(request),
                attack=Pgd(steps=ATTACK_STEPS) if request.attack else None,
                dtype=getattr(torch, request.dtype),
                replay=_replay(loaded.model),
                seed=request.seed,
                exact_seconds=request.exact_seconds,
                bracket=request.bracket,
            )
    except TimeUp:
        seconds = time.monotonic() - request.start
        cases = len(loaded.goal.cases)
        return Verdict(VerdictStatus.TIMEOUT, None, None, None, "the time was up within a step", cases, 0, seconds)


def _compiled(request: Request, loaded: _Loaded) -> DualNetwork:
    example = loaded.example(getattr(torch, request.dtype))
    return compile_dual(loaded.module, example_input=example, memory_budget=request.memory)


def _replay(model: LoadedModel) -> Replay | None:
    """onnxruntime for an ONNX file, where that is installed."""
    name = getattr(model.model, "output_name", None)
    return None if name is None else runtime_replay(str(model.path), name)


def _summary(verdict: Verdict, goal: Property) -> str:
    total = sum(len(case.conjunctions) for case in goal.cases)
    words = f"{len(goal.cases)} case(s) with {total} conjunction(s)"
    if goal.vacuous:
        words += f", {goal.vacuous} more that no input satisfies"
    parts = f", {verdict.parts} parts" if verdict.parts else ""
    opened = f", {verdict.undecided} case(s) undecided" if verdict.inputs is None and verdict.undecided else ""
    return f"{verdict.status} by {verdict.method} in {verdict.seconds:.2f} s ({words}{parts}{opened})"


def _settings(request: Request, loaded: _Loaded) -> dict[str, Any]:
    files = [
        *model_records(loaded.model),
        file_record("property", request.goal, loaded.goal.sha256),
    ]
    return {
        "model": str(request.model),
        "model_sha256": loaded.model.sha256,
        "weight_file_sha256": weight_file_digest(loaded.model),
        "property": str(request.goal),
        "property_sha256": loaded.goal.sha256,
        "vnnlib_version": loaded.goal.version,
        "input_shape": list(loaded.shape),
        "timeout": request.timeout,
        "attack_steps": ATTACK_STEPS if request.attack else None,
        "seed": request.seed,
        # Documents of earlier versions do not have these.
        **({} if request.exact_seconds is None else {"exact": True, "time_limit": request.exact_seconds}),
        **({"bracket": True} if request.bracket else {}),
        "arithmetic": request.dtype,
        "version": __version__,
        "device": request.device,
        "memory_bytes": request.memory,
        "provenance": provenance(loaded.device, files, units="those of the network's inputs, as the property has them"),
    }
