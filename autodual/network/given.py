"""Checks that what a user passes as a dual network is one."""

from __future__ import annotations

from typing import Any

from torch import nn

from autodual.errors import InvalidInputError
from autodual.network.dual_network import DualNetwork


def given_network(dual: Any) -> DualNetwork:
    """The dual network itself; raises InvalidInputError for anything else, such as the model before it is compiled."""
    if isinstance(dual, DualNetwork):
        return dual
    remedy = (
        "compile the model first: dual = autodual.compile_dual(model)"
        if isinstance(dual, nn.Module)
        else ("autodual.compile_dual makes one of a model")
    )
    raise InvalidInputError(f"dual must be a dual network, but is a {type(dual).__name__}; {remedy}")
