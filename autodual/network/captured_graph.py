"""Functions of tensors as one static graph of tensor operations: for compilers of such graphs, and CUDA graphs.

The function runs once on tensors without values, and its operations are recorded: those of the bounds, of the model,
and of the gradients that it takes. So a graph computes what the function computes, by the same operations.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from autodual.errors import CaptureError
from autodual.network.compiled import CompiledNetwork
from autodual.network.given import given_network
from autodual.requirements import nan_unless_met, requirements_recorded

_TORCH = Path(torch.__file__).parent
_PACKAGE = Path(__file__).parents[1]

#: Shape, dtype and device: what is fixed for a graph's inputs.
_Kind = tuple[torch.Size, torch.dtype, torch.device]


def capture(function: Callable[..., Any], dual: CompiledNetwork, *arguments: Tensor) -> CapturedGraph:
    """A function of tensors as a module that runs one static graph, without Python between the operations.

    The graph waits for no values and has fixed shapes, so that `torch.compile(graph, fullgraph=True)` takes it whole,
    and CUDA graphs can replay it. It reads the model's parameters and buffers as they are at each call, and updates
    buffers as the function does. Gradients are taken inside the function; none flow through the graph.

    Args:
        function: of the arguments alone; it returns tensors, alone or in tuples, lists and dictionaries. Any other
            tensor that it reads, and all its numbers, become constants of the graph: a radius that changes is an
            argument. What depends on values is refused: bounds inside the network are those of intervals, or of all
            units (`ChooseExecution(layout="dense")`) with shared or adaptive slopes and without balls.
        dual: the dual network that the function uses, traced already for samples of this shape.
        arguments: examples, such as samples and labels. Values do not matter; later calls have the same shapes, dtypes
            and devices.

    Returns:
        A module to be called like the function. It checks the model's modules and all shapes. It cannot raise errors
        about values: if a sample holds NaN or infinity, a radius is negative or a set is empty, all bounds are NaN, and
        so is every floating-point number that it returns.

    Raises:
        CaptureError: the function needs values while it is recorded, the network is not traced, or an argument is no
            tensor.

    Example:
        >>> import autodual, torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
        >>> x, labels, radius = torch.rand(5, 4), torch.arange(5) % 3, torch.tensor(0.1)
        >>> dual = autodual.compile_dual(model, x)
        >>> def step(x, labels, radius):
        ...     ball = autodual.LinfBall(radius)
        ...     loss = autodual.robust_loss(dual, x, labels, ball, inner="interval", last="interval")
        ...     return loss, torch.autograd.grad(loss, list(model.parameters()))
        >>> graph = autodual.capture(step, dual, x, labels, radius)
        >>> loss, gradients = graph(x, labels, radius)
        >>> [tuple(gradient.shape) for gradient in gradients]
        [(8, 4), (8,), (3, 8), (3,)]
    """
    model = given_network(dual).model
    _require_tensors(arguments)
    tensors = _tensors_of(model)
    host, inputs = _Host(function, model), (*tensors.values(), *arguments)
    mode = FakeTensorMode(allow_non_fake_inputs=True)

    def run(*flat: Tensor) -> Any:
        swapped = {f"network.{name}": tensor for name, tensor in zip(tensors, flat)}
        with requirements_recorded():
            results = torch.func.functional_call(host, swapped, flat[len(tensors) :])
            return pytree.tree_map_only(Tensor, nan_unless_met, results)

    try:
        with mode:
            recorded = make_fx(run)(*(mode.from_tensor(_dense(one), static_shapes=True) for one in inputs))
    except (DataDependentOutputException, DynamicOutputShapeException) as error:
        raise CaptureError(_words(error)) from error
    except RuntimeError as error:
        if ".numpy()" not in str(error):
            raise
        raise CaptureError(_words(error)) from error
    if any(isinstance(one, FakeTensor) for one in vars(recorded).values()):
        raise CaptureError("the function reads tensors that it has kept from elsewhere; make them its arguments")
    return CapturedGraph(model, recorded, tuple(tensors), inputs)


class CapturedGraph(nn.Module):
    """A recorded function; see `capture`.

    network: the model whose tensors it reads. graph: of these tensors, named `names`, and then the arguments. inputs:
    examples of both.
    """

    def __init__(self, network: nn.Module, graph: GraphModule, names: tuple[str, ...], inputs: tuple[Tensor, ...]):
        super().__init__()
        self.network, self.graph = network, graph
        self._names, self._kinds = names, [_kind(one) for one in inputs]
        self._strides = [_dense(one).stride() for one in inputs]
        self._then = _modules_of(network)

    def forward(self, *arguments: Tensor) -> Any:
        tensors = _tensors_of(self.network)
        _require_tensors(arguments)
        if tensors.keys() != set(self._names) or _modules_of(self.network) != self._then:
            raise CaptureError(self._change(tensors))
        inputs = (*(tensors[name] for name in self._names), *arguments)
        kinds = [_kind(one) for one in inputs]
        if kinds != self._kinds:
            raise CaptureError(self._difference(kinds))
        with torch.no_grad():
            return self.graph(*(_laid_out(one, stride) for one, stride in zip(inputs, self._strides)))

    def _change(self, tensors: Mapping[str, Tensor]) -> str:
        """How the model differs from the one that was captured, in a sentence."""
        changed = sorted(tensors.keys() ^ set(self._names))
        if changed:
            return f"the model has gained or lost '{changed[0]}' since the graph was captured: capture another graph"
        now, then = (
            {name: kind for name, (kind, _) in each.items()} for each in (_modules_of(self.network), self._then)
        )
        if now != then:
            return "the model has other modules than when the graph was captured: capture another graph"
        return "the graph was captured with other modules in train() mode: put them back, or capture another graph"

    def _difference(self, kinds: list[_Kind]) -> str:
        """Why the graph is not for inputs of these kinds, in a sentence."""
        of_model = len(self._names)
        if len(kinds) != len(self._kinds):
            return f"the graph takes {len(self._kinds) - of_model} tensors, not {len(kinds) - of_model}"
        first = next(index for index, (one, other) in enumerate(zip(kinds, self._kinds)) if one != other)
        shape, dtype, device = self._kinds[first]
        found = kinds[first]
        what = f"'{self._names[first]}'" if first < of_model else "a tensor"
        return (
            f"the graph was captured for {what} {list(shape)} of {dtype} on {device}, but got {list(found[0])} of "
            f"{found[1]} on {found[2]}: capture another graph for it"
        )


class _Host(nn.Module):
    """A function as a module that owns the network, so that the network's tensors can be replaced while it runs."""

    def __init__(self, function: Callable[..., Any], network: nn.Module):
        super().__init__()
        self.network = network
        self._function = (function,)  # no submodule, should it be a module

    def forward(self, *arguments: Tensor) -> Any:
        return self._function[0](*arguments)


def _tensors_of(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _modules_of(network: nn.Module) -> dict[str, tuple[type, bool]]:
    """By name, what each module is, and whether it is in training mode."""
    return {name: (type(module), module.training) for name, module in network.named_modules()}


def _require_tensors(arguments: Sequence[Any]) -> None:
    for place, one in enumerate(arguments, 1):
        if not isinstance(one, Tensor):
            raise CaptureError(
                f"graphs take tensors, but argument {place} is a {type(one).__name__}: make it one, as torch.as_tensor "
                "does, or a constant of the function"
            )


def _kind(tensor: Tensor) -> _Kind:
    return tensor.shape, tensor.dtype, tensor.device


def _dense(tensor: Tensor) -> Tensor:
    """The tensor, or a copy whose numbers all have a place of their own: what one number is expanded to may differ in
    later calls.
    """
    size = 1
    for stride, extent in sorted(zip(tensor.stride(), tensor.shape)):
        if extent != 1 and stride != size:
            return tensor.contiguous()
        size *= extent
    return tensor


def _laid_out(tensor: Tensor, stride: tuple[int, ...]) -> Tensor:
    """The tensor, or a copy of it in the layout that the graph was recorded for."""
    if tensor.stride() == stride:
        return tensor
    return torch.empty_strided(tensor.shape, stride, dtype=tensor.dtype, device=tensor.device).copy_(tensor)


def _words(error: Exception) -> str:
    """What asked for values of tensors, and what to do about it, in a sentence: the lines are the innermost ones."""
    frames = [(Path(one.filename), one.lineno) for one in traceback.extract_tb(error.__traceback__)]
    outside = [frame for frame in frames if not frame[0].is_relative_to(_TORCH)]
    theirs = [frame for frame in outside if not frame[0].is_relative_to(_PACKAGE)]
    path, line = outside[-1]
    words = f"this is no static graph, since {path.name}:{line} asks for values of tensors"
    if theirs and theirs[-1] == outside[-1]:
        return f"{words}; use operations of tensors there, such as torch.where"
    called = f", called from {theirs[-1][0].name}:{theirs[-1][1]}" if theirs else ""
    return (
        f"{words}{called}; capture bounds with inner='interval', or shared or adaptive ones, without balls, of a "
        "network whose passes end in ChooseExecution(layout='dense')"
    )
