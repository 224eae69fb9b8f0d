"""Replaying `autodual verify`: the same model and property, the same time."""

from __future__ import annotations

import time
from typing import Any

from autodual.report.comparison import Comparison, compare
from autodual.report.document import ROWS_KEY
from autodual_cli.recorded import Recorded
from autodual_cli.run import Row
from autodual_cli.verification import Request, verdict_again

_SCHEMA = "autodual.verify/1"


def replay_verification(document: Row, recorded: Recorded) -> tuple[Comparison, dict[str, Any]]:
    """The comparison of the document's one row with a new verdict, and the settings of the new run.

    A verdict that the time decided is not compared: how far a search comes depends on the machine.

    Raises:
        InvalidInputError: the model or the property is another one than recorded.
        DataError: the document's settings are not usable.
    """
    timeout = recorded.value("timeout", int, float, optional=True)
    shape = recorded.numbers("input_shape")
    request = Request(
        model=recorded.replacements.model or recorded.path(recorded.value("model", str)),
        network=None,
        goal=recorded.path(recorded.value("property", str)),
        timeout=timeout,
        start=time.monotonic(),
        input_shape=None if shape is None else tuple(map(int, shape)),
        device=recorded.replacements.device or recorded.value("device", str),
        dtype=recorded.dtype(),
        memory=recorded.value("memory_bytes", int, optional=True),
        seed=recorded.value("seed", int),
        attack=recorded.value("attack_steps", int, optional=True) is not None,
        json=None,
        quiet=True,
        standard=False,
    )

    def check(settings: dict[str, Any]) -> None:
        for role in ("model", "weight_file", "property"):
            recorded.require(role, settings[f"{role}_sha256"])

    before = document[ROWS_KEY[_SCHEMA]][0]
    now, settings = verdict_again(request, check)
    if "timeout" in (before["status"], now["status"]) and before["status"] != now["status"]:
        skipped = f"the verdict: {before['status']} then, {now['status']} now, and time decided one of them"
        return Comparison(compared=1, skipped=[skipped]), settings
    outcome = compare(_SCHEMA, recorded.settings, [before], [{**now, "index": before["index"]}])
    if before.get("counterexample") is not None:
        outcome.skipped.append("the recorded counterexample: the new run found and confirmed its own")
    return outcome, settings
