"""What rounding costs at a node: relative to how large its operands' values can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from autodual.bounds.rounding.error_factor import Debt, underflow
from autodual.dual.execution import Executed, Precision, Run
from autodual.dual.layer import DualLayer
from autodual.dual.rule import AffineRule, Rule
from autodual.interval import Interval
from autodual.ir.constant_errors import ConstantErrors, ConstantSizes, Unanalysed
from autodual.ir.expressions import Environment, Parameter
from autodual.ir.graph import Graph, Node
from autodual.tensors import flat


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
    if not (_computed(node) and isinstance(rule, AffineRule)):
        return layer
    sizes = ConstantSizes(environment, torch.float64, 1 / factor(layer.terms))
    try:
        return rule.layer(node, graph.input_shapes(node), sizes)
    except Unanalysed:  # all that is known is their size
        return layer


def widened(interval: Interval, debt: Debt, layer: DualLayer, inputs: Sequence[Interval]) -> Interval:
    """A node's interval with room for rounding; sums of numbers that are not negative stay so."""
    found = interval.widen(debt.magnitude + debt.floor.reshape(-1, *[1] * (interval.lower.dim() - 1)))
    if not layer.keeps_sign:
        return found
    signed = torch.ones(1, dtype=torch.bool, device=found.lower.device)
    for one in inputs:
        signed = signed & (flat(one.lower) >= 0).all(1)
    signed = signed.reshape(-1, *[1] * (interval.lower.dim() - 1))
    return Interval(torch.where(signed, found.lower.clamp(min=0), found.lower), found.upper)


def constants_debt(node: Node, rule: Rule, operands: Sequence[Interval], environment: Environment) -> Tensor | None:
    """What a nonlinear op is off by where float64 has computed its constants, `[B, *shape]`, as a run in float64 is.

    An op of the package is; of others only the size of their constants is known, and None is nothing to charge.
    """
    if not _computed(node) or isinstance(rule, AffineRule):
        return None
    errors = ConstantErrors(environment.lookup, environment.dtype, environment.device, torch.float64)
    exact = [Executed(bounds, torch.zeros_like(bounds.lower)) for bounds in operands]
    try:
        if not any(bool(errors(constant).any()) for constant in node.op.expressions()):
            return None
        return rule.executed(node.op, exact, Run(environment, errors, Precision.of(torch.float64)))
    except Unanalysed:
        return None


def _computed(node: Node) -> bool:
    """Whether an op has constants that are computed from parameters."""
    return any(not isinstance(constant, Parameter) for constant in node.op.expressions())


def drift(
    graph: Graph,
    name: str,
    layers: Mapping[str, DualLayer],
    without_layer: Callable[[Node], Tensor],
    debt: Callable[[Node, DualLayer], Debt],
) -> Tensor:
    """How far rounding at a node and before it may have moved the node's plain bounds, `[B or 1, *shape]`.

    without_layer: the same of a node that has no layer. debt: what rounding costs at one that has.
    """
    found: dict[str, Tensor] = {}
    for node in graph:
        if node.name not in graph.ancestors[name]:
            continue
        layer = layers.get(node.name)
        if layer is None:
            found[node.name] = without_layer(node)
            continue
        before = [found[operand] for operand in node.inputs]
        passed = layer.magnitude(before) - layer.magnitude([torch.zeros_like(one) for one in before])
        own = debt(node, layer)
        found[node.name] = passed + own.magnitude + own.floor.reshape(-1, *[1] * len(node.shape))
    return found[name]
