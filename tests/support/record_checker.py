"""Checks a record of a bound without the engine: dense matrices, one sample and one row at a time, in NumPy.

It shares only the graph and the ops' forward functions with the bounds engine.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from support.programs import affine_form

from autodual.bounds import Constraint, Record, Split
from autodual.ir import ops
from autodual.network import DualNetwork

Array = np.ndarray


class RecordChecker:
    """Recomputes the claims of a record for one subproblem over a box: intervals, lines of relaxations, and the bound.

    For networks of affine ops, ReLUs and hyperbolic tangents.
    """

    def __init__(self, dual: DualNetwork, record: Record, place: int, lower: torch.Tensor, upper: torch.Tensor):
        compiled = dual.compiled(lower.unsqueeze(0))
        self.graph = compiled.plan.graph
        self.record, self.place = record, place
        self.box = lower.flatten().numpy(), upper.flatten().numpy()
        environment = dual.environment(compiled, lower.unsqueeze(0))
        self.affine = {
            node.name: affine_form(node, self.graph.input_shapes(node), environment)
            for node in self.graph
            if not isinstance(node.op, (ops.Input, ops.Relu, ops.Tanh))
        }
        self.operands = {node.inputs[0] for node in self.graph if node.name not in self.affine and node.inputs}

    def of(self, tensor: torch.Tensor) -> Array:
        """The part of a tensor `[B or 1, …]` that belongs to the subproblem."""
        return tensor[self.place if tensor.shape[0] > 1 else 0].numpy()

    # --- lines -------------------------------------------------------------------------------------------------------

    def lines_enclose(self) -> None:
        """Assert that over the recorded intervals the lower and upper lines enclose each op."""
        for node in self.graph:
            if node.name not in self.record.lines:
                continue
            interval = self.record.intervals[node.inputs[0]]
            low, high = self.of(interval.lower).reshape(-1), self.of(interval.upper).reshape(-1)
            points = low + np.linspace(0, 1, 401)[:, None] * (high - low)
            values = np.maximum(points, 0) if isinstance(node.op, ops.Relu) else np.tanh(points)
            below, above = self.lines(node.name, None)
            assert (below[0] * points + below[1] <= values + 1e-9).all(), node.name
            assert (above[0] * points + above[1] >= values - 1e-9).all(), node.name

    def lines(self, name: str, t: Array | None) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Slope and intercept of the lower and the upper lines; t: lower slopes of undecided ReLUs to use instead."""
        lines = self.record.lines[name]
        low, high = (self.of(slopes[0]).reshape(-1) for slopes in (lines.lower_slopes, lines.upper_slopes))
        below, above = (self.of(end).reshape(-1) for end in (lines.lower_intercept, lines.upper_intercept))
        if t is not None:
            assert ((t >= 0) & (t <= 1)).all()
            interval = self.record.intervals[self.graph[name].inputs[0]]
            open_units = (self.of(interval.lower).reshape(-1) < 0) & (self.of(interval.upper).reshape(-1) > 0)
            low, below = np.where(open_units, t.reshape(-1), low), np.where(open_units, 0.0, below)
        return (low, below), (high, above)

    # --- rows --------------------------------------------------------------------------------------------------------

    def bound(self, rows: Mapping[str, Array], offset: float, chosen: Mapping[str, Array], inner: bool) -> float:
        """A lower bound of Σ ⟨row, node⟩ + offset; `inner`: by intervals of the nearest nonlinear nodes."""
        pending = {name: row.reshape(-1).astype(float) for name, row in rows.items()}
        for node in reversed(self.graph.nodes):
            if node.name not in pending or not node.inputs:
                continue
            if node.name in self.affine:
                row = pending.pop(node.name)
                matrices, constant = self.affine[node.name]
                offset += float(row @ constant)
                for operand, matrix in zip(node.inputs, matrices):
                    pending[operand] = pending.get(operand, 0.0) + row @ matrix
            elif not inner:
                row = pending.pop(node.name)
                (low, below), (high, above) = self.lines(node.name, chosen.get(node.name))
                positive, negative = np.maximum(row, 0), np.minimum(row, 0)
                offset += float(positive @ below + negative @ above)
                (operand,) = node.inputs
                pending[operand] = pending.get(operand, 0.0) + positive * low + negative * high
        for name, row in pending.items():
            low, high = self.box if not self.graph[name].inputs else self.ends(name)
            offset += float(np.minimum(row * low, row * high).sum())
        return offset

    def ends(self, name: str) -> tuple[Array, Array]:
        """A node's recorded interval."""
        interval = self.record.intervals[name]
        return self.of(interval.lower).reshape(-1), self.of(interval.upper).reshape(-1)

    def intervals_hold(self) -> None:
        """Assert each interval that was not given, by unit rows or by interval arithmetic.

        A decided unit may have a tighter recorded interval, as long as its sign is right: no line depends on it.
        """
        for name in self.operands - {*self.record.given}:
            low, high = self.ends(name)
            chosen = {node: self.of(t)[0] for node, t in self.record.slopes.of.get(name, {}).items()}
            for unit in range(len(low)):
                row = np.zeros(len(low))
                row[unit] = 1.0
                least = max(self.bound({name: row}, 0.0, chosen, inner) for inner in (False, True))
                most = -max(self.bound({name: -row}, 0.0, chosen, inner) for inner in (False, True))
                decided = (least >= 0 and low[unit] >= 0) or (most <= 0 and high[unit] <= 0)
                assert decided or low[unit] <= least + 1e-9, (name, unit)
                assert decided or high[unit] >= most - 1e-9, (name, unit)

    def bound_of(self, number: int) -> float:
        """The lower bound of row `number` of the objective, from the record alone."""
        rows: dict[str, Array] = {self.record.target: self.of(self.record.objective)[number].reshape(-1).copy()}
        offset = 0.0
        for one in self.record.constraints:
            assert one.multiplier is not None
            beta = self.of(one.multiplier)
            beta = beta if beta.ndim == one.axes else beta[min(number, len(beta) - 1)]
            assert (beta >= 0).all()
            if isinstance(one, Split):
                row = beta * self.of(one.sign)
                rows[one.node] = rows.get(one.node, 0.0) - row.reshape(-1)
                offset += float((row * self.of(one.point)).sum())
            else:
                assert isinstance(one, Constraint)
                for name, constrained in one.rows.items():
                    rows[name] = rows.get(name, 0.0) - np.tensordot(beta, self.of(constrained), 1).reshape(-1)
                offset += float(beta @ self.of(one.bound))
        slopes = self.record.slopes.of.get(self.record.target, {})
        chosen = {node: self.of(t)[min(number, t.shape[1] - 1)] for node, t in slopes.items()}
        ways = [(chosen, False), (chosen, True), ({}, False)]
        return max(self.bound(rows, offset, lines, inner) for lines, inner in ways)
