"""The primal network as a directed acyclic graph of primitive operations on one sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from torch import Tensor

from autodual.errors import AutodualError
from autodual.ir.expressions import Environment
from autodual.ir.op import Op
from autodual.ir.run_formula import Formula
from autodual.ir.surrogates import with_gradient_of


@dataclass(frozen=True)
class Source:
    """Where a node comes from.

    Args:
        module: the module's path in the model.
        line: the line of code.
        target: the original operation.
        call: the call of that operation that the node is part of; empty if the node is a call of its own.

    Example:
        >>> import autodual, torch
        >>> graph = autodual.compile_dual(torch.nn.Sequential(torch.nn.ReLU()), torch.zeros(1, 2)).plan.graph
        >>> graph[graph.outputs[0]].source.module
        '0'
    """

    module: str = ""
    line: str = ""
    target: str = ""
    call: str = ""


@dataclass(frozen=True, eq=False)
class Node:
    """`name = op(inputs)`.

    Args:
        name: unique in the graph.
        op: the operation, with its attributes.
        inputs: the names of its operands.
        shape: of one sample, without batch axis.
        source: where the node comes from.
        formula: another formula with which a library may compute it, if there is one.

    Example:
        >>> from autodual.ir import Node, ops
        >>> Node("relu", ops.Relu(), ("input",), (3, 4)).size
        12
    """

    name: str
    op: Op
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    source: Source = Source()
    formula: Formula | None = None

    @property
    def size(self) -> int:
        """Number of scalars of one sample."""
        size = 1
        for extent in self.shape:
            size *= extent
        return size


class GraphError(AutodualError):
    """A graph breaks an invariant: a bug in a pass or a frontend, never the user's fault."""


@dataclass(frozen=True, eq=False)
class Graph:
    """A network: nodes in topological order.

    Args:
        inputs: the names of the input nodes.
        nodes: all nodes, each after its operands.
        outputs: the names of the output nodes.

    Example:
        >>> import torch
        >>> from autodual.ir import Environment, Graph, Node, ops
        >>> graph = Graph(
        ...     ("x",), (Node("x", ops.Input(), (), (2,)), Node("relu", ops.Relu(), ("x",), (2,))), ("relu",)
        ... )
        >>> environment = Environment({}.__getitem__, torch.float32, torch.device("cpu"))
        >>> graph.evaluate([torch.tensor([[-1.0, 2.0]])], environment)["relu"]
        tensor([[0., 2.]])
        >>> graph.users["x"]
        ('relu',)
    """

    inputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    @cached_property
    def by_name(self) -> dict[str, Node]:
        """Each node by its name."""
        return {node.name: node for node in self.nodes}

    def __getitem__(self, name: str) -> Node:
        return self.by_name[name]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    @cached_property
    def positions(self) -> dict[str, int]:
        """Place of each node in the topological order."""
        return {node.name: place for place, node in enumerate(self.nodes)}

    @cached_property
    def users(self) -> dict[str, tuple[str, ...]]:
        """For each node, the nodes that read it; one that reads it twice is listed twice."""
        users: dict[str, list[str]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in node.inputs:
                users[name].append(node.name)
        return {name: tuple(readers) for name, readers in users.items()}

    @cached_property
    def ancestors(self) -> dict[str, frozenset[str]]:
        """For each node, the nodes its value depends on, itself included."""
        ancestors: dict[str, frozenset[str]] = {}
        for node in self.nodes:
            ancestors[node.name] = frozenset({node.name}).union(*(ancestors[name] for name in node.inputs))
        return ancestors

    @cached_property
    def read(self) -> dict[str, int]:
        """For each node, how many scalars there are in the other nodes that its value depends on."""
        sizes = {node.name: node.size for node in self.nodes}
        return {name: sum(sizes[other] for other in others) - sizes[name] for name, others in self.ancestors.items()}

    @property
    def continuous(self) -> bool:
        """Whether every op is continuous."""
        return all(node.op.continuous for node in self.nodes)

    def input_shapes(self, node: Node) -> tuple[tuple[int, ...], ...]:
        """The sample shape of each operand of `node`."""
        return tuple(self[name].shape for name in node.inputs)

    def with_nodes(self, nodes: Sequence[Node], outputs: tuple[str, ...] | None = None) -> Graph:
        """The graph with other `nodes`, and other `outputs` if given."""
        return replace(self, nodes=tuple(nodes), outputs=outputs or self.outputs)

    def evaluate(
        self, inputs: Sequence[Tensor], environment: Environment, *, surrogates: bool = False
    ) -> dict[str, Tensor]:
        """The value `[N, *shape]` of every node, by name.

        Args:
            inputs: a batch `[N, *shape]` for each of the graph's inputs.
            environment: evaluates the parameters; its dtype and device are those of the inputs.
            surrogates: whether gradients are those of the ops' surrogates, where they have one. Values are the same.
        """
        values = dict(zip(self.inputs, inputs, strict=True))
        for node in self.nodes:
            if node.name not in values:
                operands = [values[name] for name in node.inputs]
                value = node.op.forward(operands, environment)
                stand_in = node.op.surrogate(operands, environment) if surrogates else None
                values[node.name] = value if stand_in is None else with_gradient_of(value, stand_in)
        return values

    @property
    def ordered_as_output(self) -> str:
        """The earliest node whose entries are ordered as those of the (first) output.

        Behind it, gradients vanish where a softmax or a sigmoid saturates.
        """
        name = self.outputs[0]
        while len(self[name].inputs) == 1 and self[name].op.keeps_order(self[name].shape):
            (name,) = self[name].inputs
        return name


def verify(graph: Graph) -> None:
    """Check that names are unique, that operands come first and that all inputs and outputs exist.

    Args:
        graph: the graph to check.

    Raises:
        GraphError: an invariant is broken; the message names the node.

    Example:
        >>> import autodual, torch
        >>> autodual.ir.verify(autodual.compile_dual(torch.nn.ReLU(), torch.zeros(1, 2)).plan.graph)
    """
    seen: set[str] = set()
    for node in graph:
        if node.name in seen:
            raise GraphError(f"node '{node.name}' is defined twice")
        for name in node.inputs:
            if name not in seen:
                raise GraphError(f"node '{node.name}' reads '{name}' before it is defined")
        if any(extent < 0 for extent in node.shape):
            raise GraphError(f"node '{node.name}' has the shape {node.shape}")
        seen.add(node.name)
    for name in (*graph.inputs, *graph.outputs):
        if name not in seen:
            raise GraphError(f"'{name}' is an input or output of the graph but not a node")
