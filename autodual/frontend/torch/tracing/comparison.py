"""Comparing a model's run with that of its graph: how far the outputs differ, and how far rounding may move them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from autodual.frontend.torch.widening import Widened
from autodual.ir import Environment, Graph

Network = Callable[[Mapping[str, Tensor], Sequence[Tensor]], Tensor]
"""Runs the user's model with the given parameters and buffers on one batch, and yields the traced output."""


def running(model: nn.Module, output: int) -> Network:
    """Runs a module and yields the tensor at place `output` of its flattened outputs."""
    names = [name for name, _ in (*model.named_parameters(), *model.named_buffers())]

    def network(tensors: Mapping[str, Tensor], inputs: Sequence[Tensor]) -> Tensor:
        own = {name: tensors[name] for name in names}
        found: Tensor = pytree.tree_leaves(torch.func.functional_call(model, own, tuple(inputs)))[output]
        return found

    return network


@dataclass(frozen=True, eq=False)
class Run:
    """A model's outputs for some inputs, with the inputs and the tensors by name in the dtype in which it ran.

    tolerance: relative to the outputs, what it may be off by beyond the rounding of that dtype. call: runs it once more
    in the same way, on other inputs.
    """

    inputs: Sequence[Tensor]
    tensors: Mapping[str, Tensor]
    outputs: Tensor
    tolerance: float
    call: Callable[[Sequence[Tensor]], Tensor]

    @property
    def dtype(self) -> torch.dtype:
        return self.inputs[0].dtype


def run_in(dtype: torch.dtype, network: Network, tensors: Mapping[str, Tensor], inputs: Sequence[Tensor]) -> Run:
    """The model's run in a dtype, with the constants that it takes from the inputs' own dtype."""
    own = inputs[0].dtype
    mine = {
        name: value.to(dtype, copy=True) if value.is_floating_point() else value.clone()
        for name, value in tensors.items()
    }

    def call(inputs: Sequence[Tensor]) -> Tensor:
        with Widened(own, dtype):
            return network(mine, copies(inputs))

    given = [value.to(dtype) for value in inputs]
    return Run(given, mine, call(given), 1e-6, call)


def widest_run(network: Network, tensors: Mapping[str, Tensor], inputs: Sequence[Tensor]) -> Run:
    """The model's run in double precision, or in the inputs' dtype where the model runs in no other."""
    try:
        return run_in(torch.float64, network, tensors, inputs)
    except torch.OutOfMemoryError:
        raise
    except Exception:
        # Some models fix a dtype inside; they are compared in that dtype, up to its rounding.
        own = {name: tensor.clone() for name, tensor in tensors.items()}

        def call(inputs: Sequence[Tensor]) -> Tensor:
            return network(own, copies(inputs))

        return Run(inputs, own, call(inputs), 4 * torch.finfo(inputs[0].dtype).eps ** 0.5, call)


@dataclass(frozen=True, eq=False)
class Comparison:
    """A graph's outputs `[N, *shape]` beside those of a model's run, and by how much they may differ."""

    result: Tensor
    expected: Tensor
    margin: Tensor

    @classmethod
    def of(cls, graph: Graph, run: Run) -> Comparison:
        """The graph on a run's inputs; the margin is the run's tolerance and 100 units in the last place."""
        values = _values(graph, run, run.dtype)
        largest = torch.stack([_size(value) for value in values.values()]).amax()
        allowed = run.tolerance * _size(run.outputs) + 100 * torch.finfo(run.dtype).eps * largest
        return cls(_as_outputs(values[graph.outputs[0]], run), run.outputs, allowed)

    @classmethod
    def in_doubt(cls, graph: Graph, run: Run) -> Comparison:
        """The graph in float64 and a run in a narrower dtype; the margin is ten times what the graph loses in it."""
        output = graph.outputs[0]
        exact, rounded = (_values(graph, run, dtype)[output] for dtype in (torch.float64, run.dtype))
        allowed = 10 * _size(rounded - exact) + 4 * torch.finfo(run.dtype).eps * _size(run.outputs)
        return cls(_as_outputs(exact, run), run.outputs, allowed)

    @property
    def differing(self) -> Tensor:
        """The samples `[N]` whose outputs differ beyond the margin; what is infinite or NaN must be so in both."""
        same = (self.result - self.expected).abs() <= self.margin
        same |= (self.result == self.expected) | (self.result.isnan() & self.expected.isnan())
        return ~same.reshape(same.shape[0], -1).all(1)

    @cached_property
    def agree(self) -> bool:
        """Whether no sample differs."""
        return self.result.shape == self.expected.shape and not bool(self.differing.any())

    @property
    def worst(self) -> float:
        """The largest difference."""
        return float((self.result - self.expected).abs().max())


def _values(graph: Graph, run: Run, dtype: torch.dtype) -> dict[str, Tensor]:
    """The values of all nodes for a run's inputs, computed in a dtype."""
    inputs = [value.to(dtype) for value in run.inputs]
    return graph.evaluate(inputs, Environment(run.tensors.__getitem__, dtype, inputs[0].device))


def _as_outputs(result: Tensor, run: Run) -> Tensor:
    """A graph's output, which may be the same for all samples, as one for each sample of a run."""
    fits = result.shape[1:] == run.outputs.shape[1:] and result.shape[0] in (1, run.outputs.shape[0])
    return result.expand(run.outputs.shape) if fits else result


def _size(values: Tensor) -> Tensor:
    """The largest magnitude of a finite entry, a single number in float64."""
    if not values.numel():
        return torch.zeros((), dtype=torch.float64, device=values.device)
    return values.abs().nan_to_num(nan=0.0, posinf=0.0).max().double()


def copies(inputs: Sequence[Tensor]) -> list[Tensor]:
    """Copies of inputs for a model that may change them in place."""
    return [value.clone(memory_format=torch.contiguous_format) for value in inputs]


def close(value: Tensor, expected: Tensor, margin: Tensor) -> bool:
    """Whether no entry differs by more than the margin."""
    return bool(((value - expected).abs() <= margin).all())
