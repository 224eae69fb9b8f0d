"""Lowering of the ATen operations that declared functions of one scalar go by."""

from __future__ import annotations

from typing import Any

import torch

from autodual.frontend.construction import Unsupported
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import Rule, lowers
from autodual.ir import Node, Op
from autodual.ir.scalars import Declaration, declarations
from autodual.ir.scalars.declaration import FromArguments


def lower_declared(entry: Declaration, *, replace: bool = False) -> None:
    """Register a rule for each operation that an entry of the table names."""
    for name, make in entry.aten.items():
        found = operation(name) if isinstance(name, str) else name
        lowers(found, any_batch_axis=True, replace=replace)(_rule(entry.op, make))


def operation(name: str) -> Any:
    """`elu`, `clamp.default` or `mylib::op` as an operation; one of ATen without an overload is the default one."""
    space, _, rest = name.rpartition("::")
    packet, _, overload = rest.partition(".")
    found = getattr(getattr(torch.ops, space or "aten"), packet)
    return getattr(found, overload or "default") if overload or not space else found


def _rule(op: type[Op], make: FromArguments) -> Rule:
    def rule(builder: Builder, x: Any, *arguments: Any) -> Node:
        try:
            made = make(*arguments)
        except ValueError as error:
            raise Unsupported(str(error)) from error
        except TypeError as error:
            raise Unsupported(f"{op.__name__} does not take its arguments") from error
        return builder.emit(made, builder.node(x))

    # An op that is declared again takes the place of its own rule, and of no other op's.
    rule.__module__, rule.__qualname__ = op.__module__, op.__qualname__
    return rule


for _entry in declarations():
    lower_declared(_entry)
