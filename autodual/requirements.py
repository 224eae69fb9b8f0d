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
_unchecked: ContextVar[bool] = ContextVar("nothing is checked", default=False)


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
        if _unchecked.get():
            return
        pending = _pending.get()
        if pending is not None:
            pending.append((holds, error))
            return
    if not holds:
        raise error()


def checking() -> bool:
    """Whether values can be checked: not inside `unchecked`.

    Example:
        >>> from autodual.requirements import checking
        >>> checking()
        True
    """
    return not _unchecked.get()


@contextmanager
def unchecked() -> Iterator[None]:
    """Inside, nothing is required of tensors without values: a graph is being recorded, whose values come later.

    Example:
        >>> from autodual.requirements import checking, unchecked
        >>> with unchecked():
        ...     checking()
        False
    """
    token = _unchecked.set(True)
    try:
        yield
    finally:
        _unchecked.reset(token)


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
