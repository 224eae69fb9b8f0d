"""The tensors that layers, intervals, regions and whatever is made of them hold."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import cached_property, partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, TypeVar

from torch import Tensor, nn

from autodual.dual.rule import AffineRule, NonlinearRule
from autodual.ir.expressions import Expression
from autodual.ir.graph import Graph, Node

Thing = TypeVar("Thing")

# What holds no tensors, or is known by its identity.
_FUNCTIONS = (type, FunctionType, MethodType, BuiltinFunctionType, partial)
_CLOSED = (*_FUNCTIONS, nn.Module, Graph, Node, Expression, AffineRule, NonlinearRule)


def tensors_of(thing: Any) -> list[Tensor]:
    """The tensors in a thing, in the order in which `mapped` meets them."""
    found: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor)
        return tensor

    mapped(thing, note)
    return found


def differentiable(thing: Any) -> list[Tensor]:
    """The tensors in a thing that gradients flow to, each once."""
    return list({id(tensor): tensor for tensor in tensors_of(thing) if tensor.requires_grad}.values())


def mapped(thing: Thing, function: Callable[[Tensor], Tensor]) -> Thing:
    """A copy of a thing with `function` of every tensor in its place; cached properties are left out.

    One object that is held in several places stays one object.
    """
    return _mapped(thing, function, {})


def _mapped(thing: Any, function: Callable[[Tensor], Tensor], known: dict[int, tuple[Any, Any]]) -> Any:
    if isinstance(thing, Tensor):
        return function(thing)
    if isinstance(thing, _CLOSED) or not (isinstance(thing, (tuple, list, dict)) or hasattr(thing, "__dict__")):
        return thing
    if id(thing) not in known:
        # Keep the original alive beside the copy, so that no other object gets its id.
        known[id(thing)] = thing, _opened(thing, function, known)
    return known[id(thing)][1]


def _opened(thing: Any, function: Callable[[Tensor], Tensor], known: dict[int, tuple[Any, Any]]) -> Any:
    if isinstance(thing, dict):
        return {key: _mapped(value, function, known) for key, value in thing.items()}
    if isinstance(thing, (tuple, list)):
        parts = [_mapped(value, function, known) for value in thing]
        return type(thing)(*parts) if hasattr(thing, "_fields") else type(thing)(parts)
    copied = copy(thing)
    on_demand = {
        name for kind in type(thing).__mro__ for name, value in vars(kind).items() if isinstance(value, cached_property)
    }
    for name, value in vars(thing).items():
        if name in on_demand:
            del vars(copied)[name]
        else:
            vars(copied)[name] = _mapped(value, function, known)
    return copied
