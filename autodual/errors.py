"""Every error that autodual raises on purpose; each message is one clear sentence that says what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class AutodualError(Exception):
    """Base class of all errors raised on purpose; the command line turns it into one line and exit status 2."""


class InvalidInputError(AutodualError, ValueError):
    """An argument has a wrong shape, dtype, range, or holds NaN or infinity."""


class EmptySetError(InvalidInputError):
    """A perturbation set contains no point (lower > upper), so nothing can be certified over it."""


class TraceError(AutodualError):
    """A model could not be traced, or the traced graph does not compute what the model computes."""


class BatchMixingError(TraceError):
    """The model lets samples of one batch influence each other, so no per-sample bound exists."""


class CaptureError(AutodualError):
    """A function cannot be recorded as one static graph, or a graph does not fit what it is called with."""


class ModelChangedError(AutodualError):
    """The model is no longer the one that was compiled: something other than its parameters and buffers has changed."""


class ContradictionError(AutodualError):
    """A point of a set breaks a bound that was proved over the set: one of the two is wrong, which is a bug.

    evidence: what is needed to look into it, as plain values that JSON can hold.
    """

    def __init__(self, message: str, evidence: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.evidence = dict(evidence)


@dataclass(frozen=True)
class UnsupportedOp:
    """An operation without a rule.

    Args:
        target: its name.
        module: the module that calls it, or "".
        source: the user's line of code, or "".
        hint: a remedy, or "".
    """

    target: str
    module: str
    source: str
    hint: str = ""


_LISTED = 50
"""Operations listed in one message; more would scroll the first ones away."""


class UnsupportedOpsError(AutodualError):
    """All operations of a model that autodual cannot lower or bound, collected over the whole graph."""

    def __init__(self, ops: Sequence[UnsupportedOp]):
        self.ops = tuple(ops)
        lines = [f"{len(self.ops)} operation(s) of this model have no dual rule:"]
        for op in self.ops[:_LISTED]:
            where = f" in module '{op.module}'" if op.module else ""
            at = f" at {op.source}" if op.source else ""
            hint = f" ({op.hint})" if op.hint else ""
            lines.append(f"  {op.target}{where}{at}{hint}")
        if len(self.ops) > _LISTED:
            lines.append(f"  ... and {len(self.ops) - _LISTED} more, which the error's `ops` holds")
        super().__init__("\n".join(lines))


class PassError(AutodualError):
    """A pass failed; the message names it and the passes that ran before it."""


class MemoryBudgetError(AutodualError):
    """Even one sample at a time does not fit the stated memory budget."""


class ModelFileError(AutodualError):
    """A model file is missing, truncated, of an unknown kind, or would execute code when loaded."""


class DataError(AutodualError):
    """A data set is missing, truncated or malformed."""


class BudgetError(ModelFileError, DataError):
    """A file claims more memory, or more of something else, than its budget; the message says how to raise it."""


class TrainingError(AutodualError):
    """Training cannot go on, because its loss is not finite."""


class DeviceError(AutodualError):
    """The requested device does not exist on this machine."""


def reason_of(error: BaseException) -> str:
    """The first line of another library's error message, without a full stop; the error's type if it is empty.

    Args:
        error: any exception.

    Example:
        >>> from autodual.errors import reason_of
        >>> reason_of(ValueError("Bad shape.")), reason_of(ValueError())
        ('Bad shape', 'ValueError')
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
