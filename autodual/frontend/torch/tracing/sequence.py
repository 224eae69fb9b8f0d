"""Sequences of the commonest layers, taken down without torch.export.

torch.export loads a compiler and a computer algebra system, and so do tensors without values; that takes longer than to
certify a hundred samples. What a sequence of stock layers computes is known without them. The operations here are those
torch.export would record, so that the same rules lower them, and the graph is compared with the model like any other's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules import module as modules

from autodual.frontend.torch.batch_axis import BatchAxis
from autodual.frontend.torch.tracing.leaf_modules import module_rule
from autodual.frontend.torch.tracing.lowering import Lowering
from autodual.frontend.traced_network import TracedNetwork

aten = torch.ops.aten
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Step:
    """One operation: on what comes in, on a layer's parameters and buffers by name, and on further arguments.

    shape: of one sample of its result. terms: how many products, or numbers, make up a number of the result.
    """

    target: Any
    shape: Shape
    names: Sequence[str] = ()
    further: Sequence[Any] = ()
    terms: int = 1

    @property
    def multiplications(self) -> int:
        """Of one sample, at most."""
        return self.terms * math.prod(self.shape)


def _linear(layer: Any, shape: Shape) -> Step | None:
    wider, read = layer.weight.shape
    if shape[-1:] != (read,):
        return None
    return Step(aten.linear.default, (*shape[:-1], wider), ("weight", "bias"), (), read)


def _convolution(layer: Any, shape: Shape) -> Step | None:
    target = {2: aten.conv1d.default, 3: aten.conv2d.default, 4: aten.conv3d.default}.get(len(shape))
    odd = layer.padding_mode != "zeros" or isinstance(layer.padding, str)
    channels, read, *kernels = layer.weight.shape
    if target is None or odd or (len(shape) - 1, shape[0]) != (len(kernels), read * layer.groups):
        return None
    how = layer.stride, layer.padding, layer.dilation
    spatial = [
        (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, stride, padding, dilation in zip(shape[1:], kernels, *how, strict=True)
    ]
    if min(spatial) < 1:
        return None
    terms = read * math.prod(kernels)
    return Step(target, (channels, *spatial), ("weight", "bias"), (*how, layer.groups), terms)


def _batch_norm(layer: Any, shape: Shape) -> Step | None:
    axes = {nn.BatchNorm1d: (1, 2), nn.BatchNorm2d: (3,), nn.BatchNorm3d: (4,)}[type(layer)]
    known = layer.track_running_stats and layer.running_mean is not None and layer.momentum is not None
    if not known or len(shape) not in axes or (shape[0],) != tuple(layer.running_mean.shape):
        return None
    names = "weight", "bias", "running_mean", "running_var"
    return Step(aten.batch_norm.default, shape, names, (False, layer.momentum, layer.eps, True))


def _relu(layer: Any, shape: Shape) -> Step | None:
    return Step(aten.relu.default, shape)


def _flatten(layer: Any, shape: Shape) -> Step | None:
    axes = len(shape) + 1
    first, last = (axis % axes if -axes <= axis < axes else 0 for axis in (layer.start_dim, layer.end_dim))
    if not 0 < first <= last:
        return None
    made = (*shape[: first - 1], math.prod(shape[first - 1 : last]), *shape[last:])
    return Step(aten.flatten.using_ints, made, (), (layer.start_dim, layer.end_dim))


_STEPS: dict[type[nn.Module], Callable[[Any, Shape], Step | None]] = {
    nn.Linear: _linear,
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), _convolution),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), _batch_norm),
    nn.ReLU: _relu,
    nn.Flatten: _flatten,
}
_PASSED = (nn.Identity, nn.Dropout)
"""Layers that change nothing in inference mode."""


def steps_of(model: nn.Module, shape: Shape) -> list[tuple[str, nn.Module, Step]] | None:
    """What a sequence of stock layers does with samples of some shape, in inference mode: each layer's qualified name,
    the layer and its step. None for all other models, and where the shape does not fit.

    Args:
        model: any model.
        shape: of one sample.

    Example:
        >>> import torch
        >>> from autodual.frontend.torch.tracing.sequence import steps_of
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 2), torch.nn.ReLU())
        >>> [(name, step.shape, step.multiplications) for name, _, step in steps_of(model, (2, 3))]
        [('0', (6,), 6), ('1', (2,), 12), ('2', (2,), 2)]
        >>> steps_of(model, (2, 4)) is None
        True
    """
    if not _plain(model):
        return None
    found = []
    for path, layer in _layers(model, ""):
        if type(layer) in _PASSED:
            continue
        make = _STEPS.get(type(layer))
        try:
            step = None if make is None else make(layer, shape)
        except Exception:  # attributes of a module from a file may be anything
            return None
        if step is None:
            return None
        found.append((path, layer, step))
        shape = step.shape
    return found or None


def traced_sequence(model: nn.Module, inputs: Sequence[Tensor]) -> TracedNetwork | None:
    """The graph of a sequence of stock layers, in inference mode; None for all other models.

    Args:
        model: any model.
        inputs: one batch `[N, *shape]` for each of its arguments, where no extent of the shape is N.
    """
    batch = inputs[0]
    steps = steps_of(model, tuple(batch.shape[1:])) if len(inputs) == 1 else None
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    alike = all(one.dtype == batch.dtype for one in tensors.values() if one.is_floating_point())
    if steps is None or not alike:
        return None
    program = _Program(batch)
    for path, layer, step in steps:
        program.add(path, layer, step)
    try:
        graph = Lowering(BatchAxis([len(batch)]), tensors).run([program.input], program.names, program.output)
    except Exception:  # torch.export, or running the model, says what is wrong with it
        return None
    return TracedNetwork(graph, dtype=batch.dtype)


def _layers(model: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """The layers of a sequence, which may contain others, and their qualified names."""
    if type(model) is not nn.Sequential:
        yield path, model
        return
    for name, layer in model.named_children():
        yield from _layers(layer, f"{path}.{name}" if path else name)


def _plain(model: nn.Module) -> bool:
    """Whether a model is a sequence whose modules do what their classes say: without hooks, rules or functions of
    their own, and with nothing in two places.
    """
    if type(model) is not nn.Sequential or modules._global_forward_hooks or modules._global_forward_pre_hooks:
        return False
    every = [module for _, module in model.named_modules(remove_duplicate=False)]
    tensors = [id(one) for module in every for one in (*module._parameters.values(), *module._buffers.values())]
    tensors = [one for one in tensors if one != id(None)]
    return all(map(_stock, every)) and len(every) == len(set(every)) and len(tensors) == len(set(tensors))


def _stock(module: nn.Module) -> bool:
    """Whether a module does what its class says: without hooks, a rule, or functions and tensors put in the place of
    its own.
    """
    kind, own = type(module), vars(module)
    replaced = any(callable(getattr(kind, name, None)) or isinstance(value, Tensor) for name, value in own.items())
    hooked = module._forward_hooks or module._forward_pre_hooks
    return not (replaced or hooked or module_rule(module)) and None not in module._modules.values()


class _Program:
    """Operations as torch.export records them: nodes of a graph with tensors that show their shapes and dtypes."""

    def __init__(self, batch: Tensor):
        self._graph, self._like = fx.Graph(), batch
        self.names: dict[str, str] = {}
        self.input = self.output = self._placeholder("input", batch)

    def _placeholder(self, name: str, value: Tensor) -> fx.Node:
        node = self._graph.placeholder(name)
        node.name = name  # also where that is the name of a function of Python's
        node.meta["val"] = value.detach()
        return node

    def add(self, path: str, layer: nn.Module, step: Step) -> None:
        """Append an operation of a layer."""
        operands: list[Any] = [self.output]
        for name in step.names:
            value = getattr(layer, name)
            node = None if value is None else self._placeholder(f"tensor_{len(self.names)}", value)
            if node is not None:
                self.names[node.name] = f"{path}.{name}"
            operands.append(node)
        called = step.target._schema.name.removeprefix("aten::")
        made = self._graph.create_node("call_function", step.target, (*operands, *step.further), name=called)
        made.meta["val"] = self._like.new_zeros(()).expand(len(self._like), *step.shape)
        made.meta["nn_module_stack"] = {path: (path, type(layer))}
        self.output = made
