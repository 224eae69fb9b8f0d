"""A model and its traced graph: the part of a dual network that runs the network and bounds nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from autodual.errors import CaptureError, InvalidInputError
from autodual.frontend import TracedNetwork
from autodual.inputs import Labels, Samples, sample_tensor
from autodual.ir.expressions import Environment
from autodual.ir.graph import Graph
from autodual.network.live import live_tensors
from autodual.network.replays import Replays
from autodual.objective import Objective
from autodual.passes.plan import Plan
from autodual.requirements import checking
from autodual.specs import ClassMargin
from autodual.specs.label_map import class_count


@dataclass(frozen=True, eq=False)
class Compiled:
    """A planned network, and the tensors that its graph reads.

    constants: tensors of the model that are neither parameters nor buffers. graph: the traced graph, before the passes.
    shapes: of the parameters and buffers, by name. traced: what the plan was made from; None if there is no model that
    could be run beside the graph. replays: calls for such samples that can be done again.
    """

    plan: Plan
    constants: Mapping[str, Tensor]
    graph: Graph
    shapes: Mapping[str, torch.Size]
    traced: TracedNetwork | None = None
    replays: Replays = field(default_factory=Replays)


class CompiledNetwork(nn.Module):
    """A model, and a plan for each shape of samples that it has been called with.

    Its graph reads the model's parameters and buffers as they are now, or the tensors that `substituting` puts in their
    place.
    """

    def __init__(self, model: nn.Module, build: Callable[[nn.Module, Tensor], Compiled], class_axis: int = 1):
        super().__init__()
        self.model = model
        #: Which axis of the outputs `[N, *shape]` holds the classes, where labels are given.
        self.class_axis = class_axis
        self._build = build
        self._compiled: dict[tuple[int, ...], Compiled] = {}
        self._substitutes: dict[str, Tensor] = {}

    # --- compilation ------------------------------------------------------------------------------------------------

    def compiled(self, x: Samples) -> Compiled:
        """The plan for samples of x's shape; the first call with a shape traces the model."""
        x = sample_tensor(x)
        shape = tuple(x.shape[1:])
        if shape not in self._compiled:
            if tuple(x.shape) in self._compiled:
                raise InvalidInputError(
                    f"the inputs have the shape {list(x.shape)}, which is that of one sample: give them a batch axis, "
                    "x[None] (or x.unsqueeze(0))"
                )
            if not checking():
                raise CaptureError(
                    f"the network is not traced for samples of the shape {list(shape)} yet, which cannot be done "
                    "while a graph is captured: call dual.compiled(x) before"
                )
            self._compiled[shape] = self._build(self.model, x)
        return self._compiled[shape]

    @property
    def plan(self) -> Plan:
        """The plan of the last traced shape; raises InvalidInputError before the first trace."""
        if not self._compiled:
            raise InvalidInputError(
                "nothing is traced yet: call the dual network, or give compile_dual an example input"
            )
        return next(reversed(self._compiled.values())).plan

    def environment(self, compiled: Compiled, x: Tensor) -> Environment:
        """Parameter values of the model as it is now, in x's dtype on x's device."""
        return Environment(self.tensors(compiled).__getitem__, x.dtype, x.device)

    def tensors(self, compiled: Compiled) -> dict[str, Tensor]:
        """All tensors that a graph reads, by name, as they are now.

        Raises ModelChangedError where a parameter or buffer is gone or has another shape.
        """
        return {**compiled.constants, **live_tensors(self.model, compiled.shapes), **self._substitutes}

    @contextmanager
    def substituting(self, tensors: Mapping[str, Tensor]) -> Iterator[None]:
        """Inside, these tensors stand in for the model's parameters or buffers of the same names.

        Raises InvalidInputError for a name that the model does not have.
        """
        if tensors:
            self._check_names(tensors)
        before, self._substitutes = self._substitutes, {**self._substitutes, **tensors}
        try:
            yield
        finally:
            self._substitutes = before

    def _check_names(self, names: Iterable[str]) -> None:
        own = {name for name, _ in self.model.named_parameters(remove_duplicate=False)}
        own |= {name for name, _ in self.model.named_buffers(remove_duplicate=False)}
        for name in names:
            if name not in own:
                raise InvalidInputError(f"the model has no parameter or buffer named '{name}'")

    # --- running ----------------------------------------------------------------------------------------------------

    def label_rows(self, x: Tensor, labels: Labels) -> Objective:
        """f_y - f_j for every other class j at every position, as an objective; checks that the labels fit."""
        outputs = x.new_zeros(1, *self.output_shape(x)).expand(x.shape[0], *self.output_shape(x))
        return ClassMargin(labels, self.class_axis).rows(outputs).form

    def output_shape(self, x: Samples) -> tuple[int, ...]:
        """The shape of one sample's outputs, for samples of x's shape."""
        graph = self.compiled(x).plan.graph
        return graph[graph.outputs[0]].shape

    def predicted(self, outputs: Tensor) -> Tensor:
        """The classes with the largest outputs `[N, *shape]`: `[N]`, or a label map.

        Raises InvalidInputError where outputs are of a single class.
        """
        class_count(outputs.shape, self.class_axis)
        return outputs.argmax(self.class_axis)

    def outputs(self, x: Samples, *, surrogates: bool = False, node: str | None = None) -> Tensor:
        """f(x) `[N, *shape]` in inference mode and x's dtype, by the same graph that is bounded.

        That is the compiled graph with the parameters and buffers as they are now, not `model(x)`.

        Args:
            x: samples `[N, *shape]`.
            surrogates: whether gradients are those of ops' surrogates (`Op.surrogate`), as attacks need them where
                steps or quantisers have none. Values are the same.
            node: the values of another node of the graph than its output.

        Example:
            >>> import autodual, torch
            >>> autodual.compile_dual(torch.nn.ReLU()).outputs(torch.tensor([[1.0, -1.0]]))
            tensor([[1., 0.]])
        """
        x = sample_tensor(x)
        compiled = self.compiled(x)
        graph = compiled.plan.graph
        return graph.evaluate([x], self.environment(compiled, x), surrogates=surrogates)[node or graph.outputs[0]]

    def run(self, x: Tensor) -> Tensor:
        """The model's own f(x) `[N, *shape]`, in its own mode, with the tensors that `substituting` puts in.

        Needs no graph, so that models can be run that cannot be bounded.

        Args:
            x: samples `[N, *shape]`.

        Example:
            >>> import autodual, torch
            >>> autodual.compile_dual(torch.nn.ReLU()).run(torch.tensor([[1.0, -1.0]]))
            tensor([[1., 0.]])
        """
        if not self._substitutes:
            return self.model(x)
        return torch.func.functional_call(self.model, dict(self._substitutes), (x,))
