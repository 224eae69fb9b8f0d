"""Sequences of the commonest layers, taken down without torch.export.

torch.export loads a compiler and a computer algebra system, and so do tensors without values; that takes longer than to
certify a hundred samples. What a sequence of stock layers computes is known without them. The operations here are those
torch.export would record, so that the same rules lower them, and the graph is compared with the model like any other's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, fx, nn
from torch.nn.modules import module as modules

from autodual.frontend.torch.batch_axis import BatchAxis
from autodual.frontend.torch.tracing.leaf_modules import module_rule
from autodual.frontend.torch.tracing.lowering import Lowering
from autodual.frontend.torch.tracing.stock_layers import Shape, Step, step_of
from autodual.frontend.traced_network import TracedNetwork

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
        try:
            step = step_of(layer, shape)
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
        called = step.target._schema.name.removeprefix("aten::") + "_" * getattr(layer, "inplace", False)
        arguments = *operands, *step.further
        made = self._graph.create_node("call_function", step.target, arguments, dict(step.keywords), name=called)
        made.meta["val"] = self._like.new_zeros(()).expand(len(self._like), *step.shape)
        made.meta["nn_module_stack"] = {path: (path, type(layer))}
        self.output = made
