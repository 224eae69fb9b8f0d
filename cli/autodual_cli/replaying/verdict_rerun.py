"""Replaying `autodual verify`: the same model and property, the same time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from autodual.errors import DataError, InvalidInputError
from autodual.report.comparison import Comparison, compare
from autodual.report.document import ROWS_KEY, Row
from autodual.report.page.pictures import as_array
from autodual.report.verdicts import summarise_verdicts
from autodual_cli.replaying.document_agreement import compare_document
from autodual_cli.replaying.recorded_settings import Recorded
from autodual_cli.tasks.property_verdict import Again, Request, verdict_again

_SCHEMA = "autodual.verify/1"
_OPEN = ("timeout", "unknown")
# How far outputs may differ on other hardware, relative to the largest of them.
_SAME_OUTPUTS = 1e-4


def replay_verification(document: Row, recorded: Recorded) -> tuple[Comparison, dict[str, Any]]:
    """The comparison of the document's one row with a new verdict, and the settings of the new run.

    If either run ran out of time, a verdict that claims nothing is not compared.

    Raises:
        InvalidInputError: the model or the property is another one than recorded.
        DataError: the document's settings are not usable.
    """
    timeout = recorded.value("timeout", int, float, optional=True)
    shape = recorded.numbers("input_shape")
    request = Request(
        models=_models(recorded),
        goal=recorded.path(recorded.value("property", str)),
        timeout=timeout,
        start=time.monotonic(),
        input_shape=None if shape is None else tuple(map(int, shape)),
        device=recorded.replacements.device or recorded.value("device", str),
        dtype=recorded.dtype(),
        memory=recorded.value("memory_bytes", int, optional=True),
        seed=recorded.value("seed", int),
        attack=recorded.value("attack_steps", int, optional=True) is not None,
        exact_seconds=recorded.exact_seconds(),
        effort=recorded.effort() or "complete",
        bracket=recorded.value("bracket", bool, optional=True) is True,
        json=None,
        overwrite=False,
        quiet=True,
        standard=False,
    )

    def check(settings: dict[str, Any]) -> None:
        for role in ("model", "weight_file", "property"):
            recorded.require(role, settings[f"{role}_sha256"])
        if settings.get("networks_sha256") != recorded.settings.get("networks_sha256"):
            raise InvalidInputError("One of the networks is another file than recorded; restore it.")

    again = verdict_again(request, check)
    outcome = _compare(document[ROWS_KEY[_SCHEMA]][0], again, recorded.settings)
    compare_document(outcome, document, again.settings, summarise_verdicts)
    return outcome, again.settings


def _models(recorded: Recorded) -> dict[str | None, Path]:
    """The model, or those of several networks by name."""
    networks = recorded.settings.get("networks")
    if networks is None:
        return {None: recorded.replacements.model or recorded.path(recorded.value("model", str))}
    if not (isinstance(networks, list) and all(isinstance(one, str) and "=" in one for one in networks)):
        raise DataError("The document's networks are not written as NAME=MODEL.")
    pairs = [one.partition("=") for one in networks]
    return {name: recorded.path(path) for name, _, path in pairs}


def _compare(before: Row, again: Again, recorded: Mapping[str, Any]) -> Comparison:
    """Compare the rows. A verdict that claims something must be found again, or be proved by its counterexample."""
    now, leave = again.row, {"property"}
    if before.get("parts") and now["parts"]:
        leave.add("parts")  # the number of parts depends on the machine's speed
    point = _point(before, again)
    proved = point is None and before["status"] == "sat" and now["status"] in _OPEN
    timed = before["status"] in _OPEN and "timeout" in (before["status"], now["status"])
    if before["status"] != now["status"] and (proved or timed):
        leave |= {"status", "method", "case", "parts", "undecided_cases"}
    older = recorded.get("version") != again.settings["version"]
    outcome = compare(_SCHEMA, again.settings, [before], [now], leave=frozenset(leave), other_version=older)
    index = before["index"]
    if "status" in leave:
        why = "the counterexample recorded is one" if proved else "time decided one of them"
        outcome.skipped.append(f"the verdict: {before['status']} then, {now['status']} now, and {why}")
    if before.get("property") != recorded.get("property"):
        outcome.add(index, "property", before.get("property"), f"{recorded.get('property')}, in the settings")
    if point is not None:
        outcome.add(index, "counterexample", f"{before['status']}, {_words(before)}", point)
    return outcome


def _point(before: Row, again: Again) -> str | None:
    """What is wrong with the recorded counterexample and its outputs, found by running the network; None: nothing."""
    if before["status"] != "sat":
        held = [before.get(key) for key in ("counterexample", "outputs")]
        return None if held == [None, None] else "only sat has a counterexample"
    inputs, outputs = (as_array(before.get(key)) for key in ("counterexample", "outputs"))
    if inputs is None or outputs is None or type(before.get("case")) is not int:
        return "no counterexample with its outputs and its case"
    found = again.confirm(torch.from_numpy(inputs.ravel()), before["case"])
    if found is None or not (found.inputs == inputs.ravel()).all():
        return "it does not violate that case"
    allowed = _SAME_OUTPUTS * abs(found.outputs).max(initial=1.0)
    if outputs.shape != found.outputs.shape or not (abs(outputs - found.outputs) <= allowed).all():
        return f"the network returns {found.outputs.tolist()}"
    return None


def _words(before: Row) -> str:
    return "without one" if before.get("counterexample") is None else f"with outputs {before.get('outputs')}"
