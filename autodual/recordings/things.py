"""What tells two calls apart, where a recorded call may stand for another one, and whether it gave the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_NUMBERS_AND_WORDS = (int, str, bool, type(None), torch.dtype, torch.device, torch.Size)
_TENSORS = (Tensor, nn.Parameter)
_CONTAINERS = (set, OrderedDict)  # of hooks and the like; nothing is known of what is in them


class Walk:
    """The tensors in a thing, each once, and all else that tells it from others.

    known: whether there was nothing but tensors, numbers, words and objects of trusted classes, whose answers depend on
    what they hold and on nothing else. Any other class or function may read anything that changes between two calls.

    Args:
        trusted: whether the answers of a class depend on what its objects hold alone.
    """

    def __init__(self, trusted: Callable[[type], bool]) -> None:
        self.parts: list[Any] = [torch.get_default_dtype()]
        self.tensors: list[Tensor] = []
        self.known = True
        self._trusted = trusted
        self._numbers: dict[int, int] = {}

    def add(self, thing: Any) -> None:
        """Go through a thing and all that it holds."""
        kind, parts = type(thing), self.parts
        if kind in _TENSORS and thing.layout is torch.strided:
            if self._first(thing):
                self.tensors.append(thing)
                parts += (thing.shape, thing.stride(), thing.dtype, thing.device)
        elif kind in _NUMBERS_AND_WORDS:
            parts += (kind, thing)
        elif isinstance(thing, float):
            parts += (kind, thing.hex())
        elif kind is tuple or kind is list:
            parts += (kind, len(thing))
            for one in thing:
                self.add(one)
        elif kind is dict:
            self._add_names(kind, thing)
        elif kind in _CONTAINERS and not thing:
            parts.append(kind)
        elif self._trusted(kind) and hasattr(thing, "__dict__"):
            if self._first(thing):
                self._add_names(kind, vars(thing))
        else:
            self.known = False

    def _add_names(self, kind: type, values: dict[Any, Any]) -> None:
        self.parts += (kind, len(values), *values)
        for one in values.values():
            self.add(one)

    def _first(self, thing: Any) -> bool:
        """Notes which thing it is; whether it is met for the first time."""
        count = len(self._numbers)
        number = self._numbers.setdefault(id(thing), count)
        self.parts.append(number)
        return number == count


def the_same(found: Sequence[Tensor], usual: Sequence[Tensor]) -> bool:
    """Whether two lists of tensors are the same numbers; NaN is the same as NaN."""
    return len(found) == len(usual) and all(
        a.dtype == b.dtype and a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())
        for a, b in zip(found, usual)
    )


def unwatched() -> bool:
    """Whether nobody watches operations, or wants gradients of them."""
    return not (
        torch.is_grad_enabled()
        or torch._C._len_torch_dispatch_stack()
        or torch._C._len_torch_function_stack()
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch.compiler.is_compiling()
    )
