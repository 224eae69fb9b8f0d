"""What must hold of values, which may lie on a GPU: checked together, so that the host waits for it only once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from autodual.tensors import readable

_Requirement = tuple[Tensor, Callable[[], Exception]]
#: Those that `checked_together` has yet to check; None outside.
_pending: ContextVar[list[_Requirement] | None] = ContextVar("pending requirements", default=None)
#: Those of a graph that is being recorded; None outside.
_recorded: ContextVar[list[Tensor] | None] = ContextVar("recorded requirements", default=None)


def require(holds: Tensor | bool, error: Callable[[], Exception]) -> None:
    """Raise an error unless something holds: at once, or within `checked_together` at its end if a GPU must tell.

    Args:
        holds: a boolean, or a tensor of a single one.
        error: makes the error, with its text, when it is needed.

    Example:
        >>> import torch
        >>> from autodual.requirements import require
        >>> require(torch.ones(2).isfinite().all(), lambda: ValueError("not finite"))
    """
    if isinstance(holds, Tensor) and not readable(holds):
        recorded = _recorded.get()
        if recorded is not None:
            recorded.append(holds)
            return
        pending = _pending.get()
        if pending is not None:
            pending.append((holds, error))
            return
    if not holds:
        raise error()


def checking() -> bool:
    """Whether values can be checked now: not inside `requirements_recorded`.

    Example:
        >>> from autodual.requirements import checking
        >>> checking()
        True
    """
    return _recorded.get() is None


def nan_unless_met(values: Tensor) -> Tensor:
    """NaN in place of floating-point numbers if something required is not so, in a graph that is being recorded; the
    values themselves otherwise.

    Args:
        values: any tensor.

    Example:
        >>> import torch
        >>> from autodual.requirements import nan_unless_met
        >>> nan_unless_met(torch.ones(2))
        tensor([1., 1.])
    """
    recorded = _recorded.get()
    if not recorded or not values.is_floating_point():
        return values
    return torch.where(torch.stack(recorded).all(), values, torch.nan)


@contextmanager
def requirements_recorded() -> Iterator[None]:
    """Inside, a graph is being recorded, whose values come later: what tensors without values must fulfil is listed, so
    that `nan_unless_met` can say what comes of values that do not fulfil it.

    Example:
        >>> from autodual.requirements import checking, requirements_recorded
        >>> with requirements_recorded():
        ...     checking()
        False
    """
    token = _recorded.set([])
    try:
        yield
    finally:
        _recorded.reset(token)


@contextmanager
def checked_together() -> Iterator[None]:
    """Inside, requirements that a GPU must tell wait for the end, where it is asked once for all of them.

    The first that does not hold is reported, also where something else has failed since, which may come of it.

    Example:
        >>> import torch
        >>> from autodual.requirements import checked_together, require
        >>> with checked_together():
        ...     require(torch.ones(2).isfinite().all(), lambda: ValueError("not finite"))
    """
    if _pending.get() is not None:
        yield
        return
    pending: list[_Requirement] = []
    token = _pending.set(pending)
    try:
        yield
    finally:
        _pending.reset(token)
        if pending:
            for (_, error), holds in zip(pending, torch.stack([holds for holds, _ in pending]).tolist()):
                if not holds:
                    raise error()
