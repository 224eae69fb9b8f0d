"""What rounding costs at a node: relative to how large its operands' values can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from autodual.bounds.rounding.error_factor import Debt, underflow
from autodual.dual.layer import DualLayer
from autodual.dual.rule import AffineRule, Rule
from autodual.ir.constant_errors import ConstantSizes, Unanalysed
from autodual.ir.expressions import Environment, Parameter
from autodual.ir.graph import Graph, Node


def no_debt(node: Node, environment: Environment) -> Debt:
    """Of a node that computes nothing."""
    zero = torch.zeros(1, dtype=environment.dtype, device=environment.device)
    return Debt(zero.expand(1, *node.shape), zero)


def debt_of(node: Node, layer: DualLayer, magnitudes: Sequence[Tensor], factor: Callable[[int], float]) -> Debt:
    """Of all inputs at most `magnitudes` `[B or 1, *shape]` large; factor: γ of sums of so many terms."""
    magnitude = layer.magnitude(magnitudes)
    owed = factor(layer.terms) * magnitude
    constant = layer.constant_magnitude
    if constant is not None:
        owed = owed + factor(node.size) * constant
    return Debt(owed, underflow(layer.terms, magnitudes, node.size, like=magnitude))


def charged(
    graph: Graph, node: Node, rule: Rule, layer: DualLayer, environment: Environment, factor: Callable[[int], float]
) -> DualLayer:
    """The layer whose magnitude is to be charged: with larger constants where float64, in which constants are computed
    from parameters, may have lost digits of them, as of a batch norm's shift that cancels.
    """
    computed = any(not isinstance(constant, Parameter) for constant in node.op.expressions())
    if not (computed and isinstance(rule, AffineRule)):
        return layer
    sizes = ConstantSizes(environment, torch.float64, 1 / factor(layer.terms))
    try:
        return rule.layer(node, graph.input_shapes(node), sizes)
    except Unanalysed:  # all that is known is their size
        return layer
