"""Whole modules as single operations: while a model is traced, each instance of a registered class is one opaque call.

The call is an operation of our own in the exported program. Its rule looks up the module and calls the user's rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils import _pytree as pytree

from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.registry import lowers
from autodual.registration import require_free

ModuleRule = Callable[..., Any]
_R = TypeVar("_R", bound=ModuleRule)

_RULES: dict[type[nn.Module], ModuleRule] = {}
_INHERITED: set[type[nn.Module]] = set()


def lowers_module(*classes: type[nn.Module], subclasses: bool = False, replace: bool = False) -> Callable[[_R], _R]:
    """Register a function `(builder, module, *inputs) -> Node` as the rule of whole modules of these classes.

    What is inside such a module is never looked at. The rule gets the arguments of the call, in which tensors that
    depend on the network's input are nodes (so is the result, or a tuple of results), and reads the module's live
    parameters through `builder.parameter("weight")`. The module must run on fake tensors, which tells the results'
    shapes.

    A function that is defined again, as cells of a notebook are run again, takes the place of the one of the same
    module and qualified name.

    Args:
        classes: of modules.
        subclasses: serve subclasses as well, unless they have a rule of their own.
        replace: take the place of any other rule too.

    Returns:
        A decorator that registers a function and returns it as it is.

    Raises:
        ValueError: a class has a rule of another name already.

    Example:
        >>> import torch
        >>> from autodual.extend import lowers_module
        >>> from autodual.ir import ops
        >>> class Gate(torch.nn.Module):
        ...     def forward(self, x):
        ...         return torch.sigmoid(x)
        >>> @lowers_module(Gate)
        ... def lower_gate(builder, module, x):
        ...     return builder.emit(ops.Sigmoid(), x)
    """

    def register(rule: _R) -> _R:
        for kind in classes:
            if not replace:
                require_free(kind.__qualname__, _RULES.get(kind), rule)
        for kind in classes:
            _RULES[kind] = rule
            (_INHERITED.add if subclasses else _INHERITED.discard)(kind)
        return rule

    return register


def module_rule(module: nn.Module) -> ModuleRule | None:
    """The rule of a module's class, or of the nearest base class whose rule serves subclasses."""
    kind = type(module)
    if kind in _RULES:
        return _RULES[kind]
    return next((_RULES[base] for base in kind.__mro__ if base in _INHERITED), None)


@dataclass
class _Call:
    """One call of a leaf: which module, and its arguments with tensors told apart from everything else."""

    path: str
    module: nn.Module
    leaves: list[Any]
    structure: Any
    outputs: Any = None

    def arguments(self, tensors: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The call's arguments with other values in the places of its tensors."""
        given = iter(tensors)
        filled = [next(given) if isinstance(leaf, _Hole) else leaf for leaf in self.leaves]
        positional, named = pytree.tree_unflatten(filled, self.structure)
        return tuple(positional), dict(named)


class _Hole:
    """The place of a tensor among a call's arguments."""


@dataclass
class _Tracing:
    """The calls of leaves so far, and the tensors that the leaves hold outside of tracing."""

    calls: list[_Call] = field(default_factory=list)
    tensors: dict[nn.Module, dict[str, Tensor]] = field(default_factory=dict)
    forwards: dict[nn.Module, Any] = field(default_factory=dict)


_active: list[_Tracing] = []


@contextmanager
def opaque_leaves(model: nn.Module) -> Iterator[None]:
    """Inside, modules of registered classes only record that they are called; afterwards they are as they were."""
    tracing = _Tracing()
    found = [(path, module) for path, module in model.named_modules() if module_rule(module) is not None]
    for path, module in found:
        tracing.forwards[module] = vars(module).get("forward")
        tracing.tensors[module] = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        vars(module)["forward"] = _recording(path, module, tracing)
    _active.append(tracing)
    try:
        yield
    finally:
        _active.pop()
        for module, forward in tracing.forwards.items():
            _set_forward(module, forward)


def _set_forward(module: nn.Module, forward: Any) -> None:
    """The instance's own `forward`, or none, so that its class' is found again."""
    if forward is None:
        vars(module).pop("forward", None)
    else:
        vars(module)["forward"] = forward


def _recording(path: str, module: nn.Module, tracing: _Tracing) -> Callable[..., Any]:
    """A `forward` that records one call."""

    @wraps(module.forward)
    def forward(*args: Any, **kwargs: Any) -> Any:
        leaves, structure = pytree.tree_flatten((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        marked = [_Hole() if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        call = _Call(path, module, marked, structure)
        tracing.calls.append(call)
        results = MODULE_CALL(tensors, len(tracing.calls) - 1)
        return pytree.tree_unflatten(results, call.outputs)

    return forward


def _run(inputs: Sequence[Tensor], index: int) -> list[Tensor]:
    raise AssertionError("a leaf is traced, never run")


def _shapes(inputs: Sequence[Tensor], index: int) -> list[Tensor]:
    """What the leaf yields for fake tensors: its own forward, on fake parameters."""
    tracing = _active[-1]
    call = tracing.calls[index]
    mode: Any = next(value.fake_mode for value in inputs if isinstance(value, FakeTensor))
    fakes = {
        name: mode.from_tensor(tensor, static_shapes=True) for name, tensor in tracing.tensors[call.module].items()
    }
    args, kwargs = call.arguments(inputs)
    recording = vars(call.module)["forward"]
    _set_forward(call.module, tracing.forwards[call.module])
    try:
        # The module may decide by the batch size; the comparison with the model finds out whether that mixes samples.
        with mode.shape_env.suppress_guards():
            results = torch.func.functional_call(call.module, fakes, args, kwargs)
    finally:
        vars(call.module)["forward"] = recording
    leaves, call.outputs = pytree.tree_flatten(results)
    return [torch.empty_like(leaf) for leaf in leaves]


_module_call = torch.library.custom_op(
    "autodual::module_call", _run, mutates_args=(), schema="(Tensor[] inputs, int index) -> Tensor[]"
)
_module_call.register_fake(_shapes)
MODULE_CALL = torch.ops.autodual.module_call.default


@lowers(MODULE_CALL)
def lower_module(builder: Builder, inputs: Sequence[Any], index: int) -> Any:
    """The rule of the module's class, told which module it is."""
    call = _active[-1].calls[index]
    rule = module_rule(call.module)
    assert rule is not None
    builder.enter(call.path, call.module)
    args, kwargs = call.arguments(inputs)
    result = rule(builder, call.module, *args, **kwargs)
    return result if isinstance(result, tuple) else (result,)
