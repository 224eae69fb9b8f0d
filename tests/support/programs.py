"""Networks as linear and mixed-integer programs for HiGHS: exact minima over relaxations and over the networks.

It shares only the graph with the bounds engine: matrices are computed by each op's own forward function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

from autodual.ir import Environment, Graph, Node, ops
from autodual.network import DualNetwork

Array = np.ndarray


def affine_form(node: Node, shapes: Sequence[tuple[int, ...]], environment: Environment) -> tuple[list[Array], Array]:
    """Matrices A_k and vector b of an affine op, node = Σ A_k input_k + b, by running it on unit vectors."""

    def run(inputs: list[torch.Tensor]) -> Array:
        return node.op.forward(inputs, environment).detach().flatten(1).numpy()

    zeros = [torch.zeros(1, *shape, dtype=torch.float64) for shape in shapes]
    constant = run(zeros)[0]
    matrices = []
    for place, shape in enumerate(shapes):
        size = torch.Size(shape).numel()
        units = torch.eye(size, dtype=torch.float64).reshape(size, *shape)
        inputs = [zero.expand(size, *zero.shape[1:]) for zero in zeros]
        inputs[place] = units
        matrices.append((run(inputs) - constant).T)
    return matrices, constant


@dataclass(frozen=True)
class Optimum:
    """The minimum of an objective, and the input `[*shape]` at which it is attained."""

    value: float
    point: torch.Tensor


class NetworkProgram:
    """Variables for all nodes of one sample, with equations for affine ops; methods constrain inputs and ReLUs."""

    def __init__(self, dual: DualNetwork, x: torch.Tensor):
        compiled = dual.compiled(x)
        self.graph: Graph = compiled.plan.graph
        self._environment = dual.environment(compiled, x)
        self._start: dict[str, int] = {}
        self._bounds: list[list[float]] = []
        self._integral: list[int] = []
        self._equal: list[tuple[dict[int, float], float]] = []
        self._at_most: list[tuple[dict[int, float], float]] = []
        self._forms = {
            node.name: affine_form(node, self.graph.input_shapes(node), self._environment)
            for node in self.graph
            if not isinstance(node.op, (ops.Input, ops.Relu))
        }
        for node in self.graph:
            self._start[node.name] = self._variables(node.size)
        for name, (matrices, constant) in self._forms.items():
            self._tie(self.graph[name], matrices, constant)

    @property
    def output(self) -> str:
        """The name of the output node, the usual argument of `minimum`."""
        return self.graph.outputs[0]

    def _variables(self, count: int, lower: float = -np.inf, upper: float = np.inf, integral: bool = False) -> int:
        """Add variables; returns the index of the first."""
        first = len(self._bounds)
        self._bounds += [[lower, upper] for _ in range(count)]
        self._integral += [int(integral)] * count
        return first

    def _tie(self, node: Node, matrices: list[Array], constant: Array) -> None:
        for unit in range(node.size):
            row = {self._start[node.name] + unit: 1.0}
            for name, matrix in zip(node.inputs, matrices):
                for place in matrix[unit].nonzero()[0]:
                    variable = self._start[name] + int(place)
                    row[variable] = row.get(variable, 0.0) - matrix[unit, place]
            self._equal.append((row, constant[unit]))

    # --- the input set -----------------------------------------------------------------------------------------------

    @property
    def _input(self) -> str:
        return self.graph.inputs[0]

    def within_box(self, lower: torch.Tensor, upper: torch.Tensor) -> None:
        """Inputs `[*shape]` between lower and upper."""
        ends = zip(lower.flatten().tolist(), upper.flatten().tolist())
        for variable, (low, high) in enumerate(ends, self._start[self._input]):
            self._bounds[variable] = [low, high]

    def within_l1(self, centre: torch.Tensor, radius: float) -> None:
        """Inputs with ‖z − centre‖₁ ≤ radius: z = centre + p − q with p, q ≥ 0 and Σ p + q ≤ radius."""
        size, start = centre.numel(), self._start[self._input]
        plus, minus = self._variables(size, lower=0), self._variables(size, lower=0)
        for unit, value in enumerate(centre.flatten().tolist()):
            self._equal.append(({start + unit: 1.0, plus + unit: -1.0, minus + unit: 1.0}, value))
        self._at_most.append((dict.fromkeys(range(plus, plus + 2 * size), 1.0), radius))

    def at_least(self, rows: Mapping[str, Array], bound: float) -> None:
        """Σ ⟨row `[size]`, node⟩ ≥ bound."""
        entries = {
            self._start[name] + int(place): -float(row[place])
            for name, row in rows.items()
            for place in row.nonzero()[0]
        }
        self._at_most.append((entries, -bound))

    # --- rectified linear units --------------------------------------------------------------------------------------

    def parallelograms(self, intervals: Mapping[str, Array]) -> None:
        """s·z ≤ relu(z) ≤ s·(z − ℓ) with s = u/(u − ℓ), for intervals `[2, size]` of each ReLU's operand."""
        for value, result, low, high in self._units(intervals):
            if not self._decided(value, result, low, high):
                slope = high / (high - low)
                self._at_most.append(({value: slope, result: -1.0}, 0.0))
                self._at_most.append(({value: -slope, result: 1.0}, -slope * low))

    def triangles(self, intervals: Mapping[str, Array]) -> None:
        """0 ≤ relu(z), z ≤ relu(z) ≤ u(z − ℓ)/(u − ℓ) and ℓ ≤ z ≤ u."""
        for value, result, low, high in self._units(intervals):
            if not self._decided(value, result, low, high):
                slope = high / (high - low)
                self._bounds[value], self._bounds[result] = [low, high], [0.0, np.inf]
                self._at_most.append(({value: 1.0, result: -1.0}, 0.0))
                self._at_most.append(({value: -slope, result: 1.0}, -slope * low))

    def exactly(self) -> int:
        """relu(z) exactly, by a binary variable for each undecided unit; returns the number of binary variables."""
        binaries = 0
        for value, result, low, high in self._units(self._interval_arithmetic()):
            if self._decided(value, result, low, high):
                continue
            active = self._variables(1, 0.0, 1.0, integral=True)
            self._bounds[result] = [0.0, np.inf]
            self._at_most.append(({value: 1.0, result: -1.0}, 0.0))
            self._at_most.append(({result: 1.0, active: -high}, 0.0))
            self._at_most.append(({result: 1.0, value: -1.0, active: -low}, -low))
            binaries += 1
        return binaries

    def _units(self, intervals: Mapping[str, Array]):
        """Operand and result variables of every rectified unit, and the operand's interval."""
        for node in self.graph:
            if isinstance(node.op, ops.Relu):
                lower, upper = intervals[node.inputs[0]]
                for unit in range(node.size):
                    first, second = self._start[node.inputs[0]] + unit, self._start[node.name] + unit
                    yield first, second, float(lower[unit]), float(upper[unit])

    def _decided(self, value: int, result: int, low: float, high: float) -> bool:
        if low >= 0:
            self._equal.append(({value: 1.0, result: -1.0}, 0.0))
        elif high <= 0:
            self._bounds[result] = [0.0, 0.0]
        return low >= 0 or high <= 0

    def _interval_arithmetic(self) -> dict[str, Array]:
        """Intervals `[2, size]` of all nodes over the input box."""
        start = self._start[self._input]
        found = {self._input: np.array(self._bounds[start : start + self.graph[self._input].size]).T}
        for node in self.graph:
            if isinstance(node.op, ops.Relu):
                found[node.name] = found[node.inputs[0]].clip(min=0)
            elif node.name in self._forms:
                matrices, constant = self._forms[node.name]
                ends = np.stack([constant, constant])
                for name, matrix in zip(node.inputs, matrices):
                    low, high = found[name]
                    positive, negative = matrix.clip(min=0), matrix.clip(max=0)
                    ends = ends + np.stack([positive @ low + negative @ high, positive @ high + negative @ low])
                found[node.name] = ends
        return found

    # --- optima ------------------------------------------------------------------------------------------------------

    def minimum(self, name: str, objective: Array) -> Optimum:
        """The minimum of ⟨objective `[size]`, node⟩."""
        cost = np.zeros(len(self._bounds))
        cost[self._start[name] : self._start[name] + self.graph[name].size] = objective
        solution = self._integers(cost) if any(self._integral) else self._linear(cost)
        assert solution.success, solution.message
        start, node = self._start[self._input], self.graph[self._input]
        point = torch.from_numpy(solution.x[start : start + node.size]).reshape(node.shape)
        return Optimum(float(solution.fun), point)

    def _linear(self, cost: Array):
        equal, at_most = self._matrix(self._equal), self._matrix(self._at_most)
        precise = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
        return linprog(cost, *at_most, *equal, bounds=self._bounds, method="highs", options=precise)

    def _integers(self, cost: Array):
        (equal, exact), (at_most, most) = self._matrix(self._equal), self._matrix(self._at_most)
        constraints = [LinearConstraint(equal, exact, exact), LinearConstraint(at_most, -np.inf, most)]
        return milp(cost, integrality=self._integral, bounds=Bounds(*np.array(self._bounds).T), constraints=constraints)

    def _matrix(self, rows: list[tuple[dict[int, float], float]]) -> tuple[Array, Array]:
        matrix = np.zeros((len(rows), len(self._bounds)))
        for number, (entries, _) in enumerate(rows):
            matrix[number, list(entries)] = list(entries.values())
        return matrix, np.array([right for _, right in rows])
