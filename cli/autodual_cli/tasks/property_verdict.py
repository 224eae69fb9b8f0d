"""What `autodual verify` does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import torch

from autodual import __version__
from autodual.attacks import Pgd
from autodual.certification import Verdict, VerdictStatus, verify
from autodual.certification.deadline import TimeUp, deadline
from autodual.certification.verdicts.counterexample_confirmation import (
    Counterexample,
    Judge,
    module_replay,
)
from autodual.errors import ContradictionError
from autodual.policies import Effort
from autodual.report import build_document, write_document
from autodual.report.verdicts import summarise_verdicts, verdict_row
from autodual_cli.output.assignment_files import require_assignments, write_assignments
from autodual_cli.output.contradiction_file import kept
from autodual_cli.output.provenance import file_record, model_records, provenance, weight_file_digest
from autodual_cli.output.targets import Target, check_targets, sole_writer_of
from autodual_cli.output.verdict_lines import format_verdict, overtime, verdict_summary
from autodual_cli.tasks.network_and_property import NetworkAndProperty, load_both

# Seconds after the timeout within which the library should have stopped by itself.
_GRACE = 1.0
ATTACK_STEPS = 30


@dataclass(frozen=True)
class Request:
    """The options of the command.

    models: by the network's name in the property; None: whatever it is called. start: the time.monotonic() from which
    the timeout counts. standard: whether the command was given in the form of VNN-LIB 2.0. assignments: the folder for
    a counterexample's tensors, in place of printing it.
    """

    models: Mapping[str | None, Path]
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
    effort: Effort
    bracket: bool
    json: Path | None
    overwrite: bool
    quiet: bool
    standard: bool
    assignments: Path | None = None


def run_verification(request: Request) -> None:
    """Print the verdict and, after sat, the counterexample; write the JSON document if one is asked for.

    Raises:
        AutodualError: a file cannot be read or used, or the property does not fit the network.
    """
    check_targets([request.json], [*request.models.values(), request.goal], overwrite=request.overwrite)
    with sole_writer_of([request.json]):
        _run(request)


def _run(request: Request) -> None:
    try:
        with _deadline(request):
            loaded = _load(request)
    except TimeUp:
        click.echo(overtime(standard=request.standard))
        click.echo("The time was up before the files were read; no document is written.", err=True)
        return
    if request.assignments is not None:
        require_assignments(request.assignments, loaded.goal)
    try:
        verdict = _verdict(request, loaded)
    except ContradictionError as error:
        raise kept(error, _settings(request, loaded), request.json) from None
    alone = request.assignments is not None
    click.echo(format_verdict(verdict, loaded.goal, standard=request.standard, alone=alone))
    if request.assignments is not None and verdict.inputs is not None and verdict.outputs is not None:
        write_assignments(request.assignments, loaded.goal, verdict.inputs, verdict.outputs)
    if not request.quiet:
        click.echo(verdict_summary(verdict, loaded.goal), err=True)
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
        dual = loaded.compiled()
        run = loaded.replay() or module_replay(dual, tuple(loaded.shape), loaded.device)
        return Judge(loaded.goal, run).confirm(point, case)

    return Again(_row(request, loaded, _verdict(request, loaded)), settings, confirm)


def _row(request: Request, loaded: NetworkAndProperty, verdict: Verdict) -> dict[str, Any]:
    return {**verdict_row(0, verdict, loaded.shape), "property": str(request.goal)}


def _load(request: Request) -> NetworkAndProperty:
    return load_both(
        request.models,
        request.goal,
        input_shape=request.input_shape,
        device=request.device,
        dtype=request.dtype,
        memory=request.memory,
    )


def _left(request: Request) -> float | None:
    """Seconds until the timeout, or None."""
    return None if request.timeout is None else request.timeout - (time.monotonic() - request.start)


def _deadline(request: Request) -> AbstractContextManager[None]:
    left = _left(request)
    return deadline(None if left is None else left + _GRACE)


def _verdict(request: Request, loaded: NetworkAndProperty) -> Verdict:
    try:
        with _deadline(request):
            return verify(
                loaded.compiled(),
                loaded.goal,
                timeout=_left(request),
                attack=Pgd(steps=ATTACK_STEPS) if request.attack else None,
                dtype=loaded.dtype,
                replay=loaded.replay(),
                seed=request.seed,
                exact_seconds=request.exact_seconds,
                effort=request.effort,
                bracket=request.bracket,
            )
    except TimeUp:
        seconds = time.monotonic() - request.start
        cases = len(loaded.goal.cases)
        return Verdict(VerdictStatus.TIMEOUT, None, None, None, "the time was up within a step", cases, 0, seconds)


def _networks(request: Request, loaded: NetworkAndProperty) -> dict[str, Any]:
    """The models of several networks, by name."""
    if len(request.models) == 1:
        return {}
    digests = {str(model.path): model.sha256 for model in loaded.models}
    paths = {str(name): str(path) for name, path in request.models.items()}
    return {
        "networks": [f"{name}={path}" for name, path in paths.items()],
        "networks_sha256": {name: digests[path] for name, path in paths.items()},
    }


def _settings(request: Request, loaded: NetworkAndProperty) -> dict[str, Any]:
    files = [
        *(record for model in loaded.models for record in model_records(model)),
        file_record("property", request.goal, loaded.goal.sha256),
    ]
    return {
        "model": str(loaded.model.path),
        "model_sha256": loaded.model.sha256,
        "weight_file_sha256": weight_file_digest(loaded.model),
        **_networks(request, loaded),
        "property": str(request.goal),
        "property_sha256": loaded.goal.sha256,
        "vnnlib_version": loaded.goal.version,
        "input_shape": list(loaded.shape),
        "timeout": request.timeout,
        "attack_steps": ATTACK_STEPS if request.attack else None,
        "seed": request.seed,
        # Documents of earlier versions do not have these.
        **({} if request.exact_seconds is None else {"exact": True, "time_limit": request.exact_seconds}),
        **({} if request.effort == "complete" else {"effort": request.effort}),
        **({"bracket": True} if request.bracket else {}),
        "arithmetic": request.dtype,
        "version": __version__,
        "device": request.device,
        "memory_bytes": request.memory,
        "provenance": provenance(loaded.device, files, units="those of the network's inputs, as the property has them"),
    }
