"""A network over a set as a mixed-integer program: its affine ops as rows, its other ops by their exact encodings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy
import torch
from torch import Tensor

from autodual.dual import AffineRule, NonlinearRule, find_rule
from autodual.errors import InvalidInputError
from autodual.exact.affine_matrices import AffineMatrix
from autodual.exact.affine_scalars import Expressions, combined, fills_in
from autodual.exact.encodings import Decided, Operand, encoding_of
from autodual.exact.input_sets import add_inputs
from autodual.exact.linear_program import Array, ProgramBuilder, flat_array
from autodual.exact.sparse import diagonal, read_columns
from autodual.interval import Interval
from autodual.ir import Environment, Graph, Node
from autodual.network import Ask, DualNetwork
from autodual.perturbations import Support, require_support


@dataclass(frozen=True, eq=False)
class NetworkProgram:
    """The program of one sample.

    inputs: the columns of the input's scalars, int, -1 where no unit reads one. outputs: the outputs as functions of
    the columns, which lie between `lower` and `upper`, float64 `[K]`. builder: holds the program, for more to be added.
    """

    inputs: Array
    outputs: Expressions
    lower: Array
    upper: Array
    builder: ProgramBuilder

    def point(self, values: Array, centre: Tensor) -> Tensor:
        """The input `[1, *shape]` of a solution `[width]`; scalars that nothing reads are the centre's."""
        point, read = flat_array(centre).copy(), self.inputs >= 0
        point[read] = values[self.inputs[read]]
        return torch.from_numpy(point).reshape(centre.shape).to(centre.device)


@dataclass(eq=False)
class ExactNetwork:
    """A compiled network for many exact programs; matrices of its affine ops are read off once.

    Raises InvalidInputError where an op has no exact encoding.
    """

    dual: DualNetwork
    graph: Graph
    environment: Environment
    _matrices: dict[str, AffineMatrix] = field(default_factory=dict)

    @classmethod
    def of(cls, dual: DualNetwork, x: Tensor) -> ExactNetwork:
        """The network for samples of x's shape on its device, in float64."""
        compiled = dual.compiled(x)
        found = cls(dual, compiled.plan.graph, dual.environment(compiled, x.double()))
        found._require_encodings()
        return found

    def _require_encodings(self) -> None:
        without = {
            node.op.kind: node
            for node in self.graph
            if node.inputs and not isinstance(find_rule(node.op), AffineRule) and encoding_of(node.op) is None
        }
        if without:
            lines = ", ".join(
                f"{kind} (node '{node.name}'{f', {node.source.line}' if node.source.line else ''})"
                for kind, node in without.items()
            )
            raise InvalidInputError(
                f"exact verification needs piecewise-linear networks, and these ops have no exact encoding: {lines}"
            )

    def matrix(self, name: str) -> AffineMatrix:
        """The matrix of an affine node."""
        if name not in self._matrices:
            node, shapes = self.graph[name], self.graph.input_shapes(self.graph[name])
            rule = find_rule(node.op)
            assert isinstance(rule, AffineRule)
            layer = rule.layer(node, shapes, self.environment)
            self._matrices[name] = AffineMatrix.of(node, layer, shapes, self.environment.device)
        return self._matrices[name]

    @torch.no_grad()
    def program(self, region: Support, ask: Ask) -> NetworkProgram:
        """The program over a set around one sample; `ask` says how the bounds of its units are computed.

        Raises InvalidInputError where the set has no flat sides, or a bound is infinite.
        """
        region = region.to(torch.float64)
        sites = self.dual(region.centre, region.source, ask=ask, rigorous=True, exact=True, sites=True).intervals
        return _Construction(self, region, self._bounds(region, sites)).found()

    def over_members(self, region: Support, ask: Ask) -> list[tuple[Support, NetworkProgram]]:
        """Every member of the set around one sample, in float64, and the program over it."""
        members = [require_support(member.at(region.centre)) for member in region.source.members()]
        placed = [member.to(torch.float64) for member in members]
        return [(member, self.program(member, ask)) for member in placed]

    def _bounds(self, region: Support, sites: Mapping[str, Interval]) -> dict[str, Interval]:
        """Bounds of all nodes, from those of the bound sites; rounding included."""
        found: dict[str, Interval] = {}
        for node in self.graph:
            if node.name in sites:
                found[node.name] = sites[node.name]
            elif node.name in self.graph.inputs:
                found[node.name] = region.enclosure().widen(region.rounding())
            else:
                found[node.name] = self._bounded(node, [found[name] for name in node.inputs])
        return found

    def _bounded(self, node: Node, operands: list[Interval]) -> Interval:
        rule = find_rule(node.op)
        if isinstance(rule, NonlinearRule):
            values = rule.range(node.op, operands, self.environment)
            return values if rule.exact else values.widen(8 * torch.finfo(torch.float64).eps * values.magnitude)
        matrix = self.matrix(node.name)
        return matrix.layer.interval(operands).widen(matrix.allowance(operands))


@dataclass(eq=False)
class _Construction:
    """One program under construction: the scalars of all nodes that the output depends on.

    used: by node, which scalars any reader needs, bool `[size]`.
    """

    network: ExactNetwork
    region: Support
    bounds: Mapping[str, Interval]
    builder: ProgramBuilder = field(default_factory=ProgramBuilder)
    scalars: dict[str, Expressions] = field(default_factory=dict)
    decided: dict[str, Decided] = field(default_factory=dict)
    used: dict[str, Array] = field(default_factory=dict)

    def found(self) -> NetworkProgram:
        graph = self.network.graph
        for node in graph:
            encoding = encoding_of(node.op)
            if encoding is not None:
                operands = [Operand(*self._ends(name)) for name in node.inputs]
                units = numpy.arange(node.size)
                self.decided[node.name] = encoding.decided(node, units, operands, self.network.environment)
        self.used = self._used()
        (start,) = graph.inputs
        inputs = add_inputs(self.region, self.used[start], self.builder)
        self.scalars[start] = Expressions.of_columns(inputs, self._reach(start))
        for node in graph:
            if node.name != start:
                add = self._nonlinear if node.name in self.decided else self._affine
                self.scalars[node.name] = add(node, self.used[node.name])
        output = graph.outputs[0]
        return NetworkProgram(inputs, self.scalars[output], *self._ends(output), self.builder)

    def _used(self) -> dict[str, Array]:
        """Which scalars of each node the output depends on, bool `[size]`."""
        graph = self.network.graph
        used = {node.name: numpy.full(node.size, node.name in graph.outputs) for node in graph}
        for node in reversed(graph.nodes):
            mine = used[node.name]
            if node.name in self.decided:
                decided = self.decided[node.name]
                for name, slope in zip(node.inputs, decided.slopes):
                    used[name] |= mine & (~decided.where | (slope != 0))
            elif node.inputs:
                for name, part in zip(node.inputs, self.network.matrix(node.name).parts):
                    used[name] |= read_columns(part, mine)
        return used

    def _ends(self, name: str) -> tuple[Array, Array]:
        bounds, size = self.bounds[name], self.network.graph[name].size
        low, high = (flat_array(end[:1]) for end in (bounds.lower, bounds.upper))
        if not (numpy.isfinite(low).all() and numpy.isfinite(high).all()):
            raise InvalidInputError(f"node '{name}' has no finite bounds over the set, which exact programs need")
        return numpy.broadcast_to(low, (size,)), numpy.broadcast_to(high, (size,))

    def _reach(self, name: str) -> Array:
        low, high = self._ends(name)
        return numpy.maximum(numpy.abs(low), numpy.abs(high))

    def _affine(self, node: Node, used: Array) -> Expressions:
        matrix = self.network.matrix(node.name)
        own = matrix.allowance([self.bounds[name] for name in node.inputs]).expand(1, *node.shape).flatten().cpu()
        return self._combined(node, list(zip(matrix.parts, node.inputs)), matrix.constant, own, used)

    def _combined(
        self, node: Node, parts: Sequence[tuple[Tensor, str]], constant: Tensor, own: Tensor, used: Array
    ) -> Expressions:
        """Σ A_k · operand_k + constant; operands become columns where substituting them would fill in too much."""
        rows = torch.from_numpy(used)
        found = combined([(part, self.scalars[name]) for part, name in parts], constant, own, rows)
        if fills_in(found, [part for part, _ in parts], rows):
            for name in dict.fromkeys(name for _, name in parts):
                columns = self._columns(name, self.used[name])  # of all readers, which find no other expressions
                self.scalars[name] = Expressions.of_columns(columns, self._reach(name))
            found = combined([(part, self.scalars[name]) for part, name in parts], constant, own, rows)
        return found

    def _columns(self, name: str, used: Array) -> Array:
        """Columns of the used scalars of a node, -1 for the others."""
        found, units, (low, high) = numpy.full(len(used), -1), used.nonzero()[0], self._ends(name)
        found[units] = self.scalars[name].columns_of(units, low[units], high[units], self.builder)
        return found

    def _nonlinear(self, node: Node, used: Array) -> Expressions:
        """Units that are decided as functions of what they read, and new columns for the others."""
        encoding, decided = encoding_of(node.op), self.decided[node.name]
        assert encoding is not None
        known, units = used & decided.where, (used & ~decided.where).nonzero()[0]
        slopes = [(diagonal(slope), name) for slope, name in zip(decided.slopes, node.inputs)]
        constant, slack = (
            torch.from_numpy(numpy.where(known, part, 0.0)) for part in (decided.constant, decided.slack)
        )
        old = self._combined(node, slopes, constant, slack, known)
        operands = []
        for name in node.inputs:
            (low, high), read = self._ends(name), self._columns(name, used & ~decided.where)
            operands.append(Operand(low[units], high[units], read[units]))
        columns = numpy.full(node.size, -1)
        if len(units):
            columns[units] = encoding.encode(node, units, operands, self.network.environment, self.builder)
        return old.beside(Expressions.of_columns(columns, self._reach(node.name)))
