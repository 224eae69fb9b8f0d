"""Lowering a traced program: operations become nodes of the graph by their rules, or expressions over constants."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from autodual.errors import TraceError, UnsupportedOp, UnsupportedOpsError
from autodual.frontend.constants import apply, leaves
from autodual.frontend.construction import GraphUnderConstruction, Unsupported, pruned
from autodual.frontend.torch.batch_axis import BatchAxis
from autodual.frontend.torch.builder import Builder
from autodual.frontend.torch.layout import Displaced, Layout, layout_of
from autodual.frontend.torch.operands import UNKNOWN, Fixed, Unknown, Unlowered, Unusable, depends_on_input, is_symbolic
from autodual.frontend.torch.registry import reads_batch_size, rule_for, serves_any_batch_axis
from autodual.frontend.torch.tracing.leaf_modules import MODULE_CALL
from autodual.frontend.torch.tracing.results import checked
from autodual.ir import Call, Expression, Graph, Node, Parameter, verify
from autodual.ir.ops import Input

aten = torch.ops.aten

_REPEATS_ONE_SAMPLE = frozenset(
    {aten.expand.default, aten.repeat.default, aten.full.default, aten.zeros.default, aten.ones.default}
)
"""Operations on constants that, given the batch size as the first extent, make the same values for every sample."""

_NUMBERS_OUT_OF_TENSORS = frozenset({aten.item.default, aten._local_scalar_dense.default})

_COPIES = frozenset(
    {
        aten.clone.default,
        aten.detach.default,
        aten.detach_.default,
        aten.alias.default,
        aten.lift_fresh_copy.default,
    }
)
"""Operations that leave a constant what it is; a functional program has no aliases to break."""

_RANDOM = "its result is random, so the network has no definite output"

_PLACEMENT = frozenset({"device", "layout", "pin_memory", "memory_format", "non_blocking"})
"""Options that say where a constant lives in memory; expressions are moved to the caller's device anyway."""


class Lowering:
    """Turns the live part of one traced program into a graph, in one walk over its operations."""

    def __init__(self, batch: BatchAxis, tensors: Mapping[str, Tensor]):
        """`tensors`: the present values of parameters, buffers and constants, by the names in the graph."""
        self._batch = batch
        self._tensors = tensors
        self._graph = GraphUnderConstruction()
        self._unsupported: dict[UnsupportedOp, None] = {}

    def run(self, inputs: Sequence[fx.Node], constants: Mapping[str, str], output: fx.Node) -> Graph:
        """Lower everything that `output` depends on.

        Args:
            inputs: the placeholders of the network's inputs.
            constants: for each other placeholder, the qualified name of its parameter, buffer or constant.
            output: the operation whose result is the network's output.

        Raises:
            BatchMixingError: samples influence each other.
            UnsupportedOpsError: some operations have no rule; it lists them all.
        """
        values: dict[fx.Node, Any] = {}
        for placeholder in inputs:
            builder = self._builder(placeholder)
            values[placeholder] = builder.emit(Input())
        for operation in _live(output):
            if operation not in values:
                values[operation] = self._value(operation, values, constants)
        if self._unsupported:
            raise UnsupportedOpsError(tuple(self._unsupported))
        result = values[output]
        if isinstance(result, Unusable):
            raise TraceError(f"The output has no bounds: {result.reason}.")
        if isinstance(result, Displaced):
            self._builder(output).mixing(
                "leaves the output's batch axis elsewhere than in axis 0, or merged with others"
            )
        if isinstance(result, Fixed):
            if result.sample is None:
                raise TraceError(
                    "The model's output does not depend on its input, and has no batch axis; check forward()."
                )
            result = self._builder(output).node(result)
        graph = pruned(tuple(values[placeholder].name for placeholder in inputs), self._graph.nodes, result.name)
        verify(graph)
        return graph

    def _builder(self, operation: fx.Node) -> Builder:
        return Builder(self._graph, self._batch, operation, self._tensors)

    def _value(self, operation: fx.Node, values: Mapping[fx.Node, Any], constants: Mapping[str, str]) -> Any:
        """The value of one operation whose operands have theirs."""
        recorded = operation.meta.get("val")
        if operation.op == "placeholder":
            return self._constant_placeholder(operation, constants)
        operands: Any = fx.node.map_arg((operation.args, operation.kwargs), values.__getitem__)
        args, kwargs = operands
        builder = self._builder(operation)
        try:
            if operation.target in _NUMBERS_OUT_OF_TENSORS:
                raise Unsupported("it turns a tensor into a Python number; keep it a tensor")
            if is_symbolic(recorded) or isinstance(recorded, (int, float)):
                return UNKNOWN if any(isinstance(argument, Unknown) for argument in args) else recorded
            if operation.target is operator.getitem and isinstance(args[0], (tuple, Unknown)):
                return UNKNOWN if isinstance(args[0], Unknown) else args[0][args[1]]
            if not any(map(depends_on_input, leaves((args, tuple(kwargs.values()))))):
                return self._constant(builder, operation, args, kwargs)
            return self._by_rule(builder, operation, args, kwargs)
        except Unsupported as reason:
            self._unsupported[_described(builder, operation.target, str(reason))] = None
            return self._stand_in(builder)

    def _constant_placeholder(self, placeholder: fx.Node, constants: Mapping[str, str]) -> Any:
        """A parameter, buffer or lifted constant; placeholders of other kinds carry plain Python values."""
        recorded = placeholder.meta.get("val")
        if isinstance(recorded, Tensor):
            return Fixed(Parameter(constants[placeholder.name]), tuple(recorded.shape))
        raise TraceError(
            f"the program takes the input '{placeholder.name}', which is not a tensor; export the model with it fixed."
        )

    def _by_rule(self, builder: Builder, operation: fx.Node, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The result of the operation's registered rule."""
        rule = rule_for(operation.target)
        if rule is None:
            raise Unsupported(_RANDOM if _is_random(operation.target) else "")
        arguments = bind(operation.target, args, kwargs)
        flat = list(leaves(arguments))
        if any(isinstance(argument, Unknown) for argument in flat):
            return self._stand_in(builder)
        for argument in flat:
            if isinstance(argument, Unusable):
                raise Unsupported(argument.reason)
        if any(map(is_symbolic, flat)) and not reads_batch_size(operation.target):
            builder.mixing("computes with the batch size")
        branches = [argument for argument in flat if isinstance(argument, (Node, Displaced))]
        if any(isinstance(branch, Displaced) for branch in branches):
            layouts = {layout_of(branch) for branch in branches}
            if len(layouts) > 1:
                builder.mixing("combines branches whose batch axes do not meet")
            if not serves_any_batch_axis(operation.target):
                builder.mixing("works on a tensor whose batch axis has been moved or merged with another axis")
            builder.layout = layouts.pop()
            arguments = [_undisplaced(argument) for argument in arguments]
        elif not branches:
            arguments = [_as_nodes(builder, argument) for argument in arguments]
        result = rule(builder, *arguments)
        return checked(builder, operation, result)

    def _constant(self, builder: Builder, operation: fx.Node, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """An operation on constants alone, to be evaluated anew at each call."""
        target: Any = operation.target
        if _is_random(target):
            raise Unsupported(_RANDOM)
        if not callable(target):
            raise Unsupported
        if target is MODULE_CALL:
            raise Unsupported("the module does not see the input; compute what it yields before")
        if target in _COPIES:
            return args[0]
        recorded = builder.result
        kwargs = {key: value for key, value in kwargs.items() if key not in _PLACEMENT}
        sample = self._sample(target, args, kwargs, recorded)
        if any(map(is_symbolic, leaves((tuple(args), tuple(kwargs.values()))))):
            if sample is None:
                return self._displaced(builder, target, args, kwargs, recorded)
            return Fixed(None, tuple(recorded.shape), sample)
        call = _call(target, args, kwargs)
        if isinstance(recorded, (tuple, list)):
            parts = (apply(operator.getitem, call, index) for index in range(len(recorded)))
            return tuple(Fixed(part, tuple(value.shape)) for part, value in zip(parts, recorded, strict=True))
        return Fixed(call, tuple(recorded.shape), sample)

    def _sample(self, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any], recorded: Any) -> Expression | None:
        """One sample's part of a constant that is repeated along a leading batch axis, or None."""
        if target not in _REPEATS_ONE_SAMPLE or self._batch.sample_shape(recorded.shape) is None:
            return None
        sizes = next(argument for argument in args if isinstance(argument, (list, tuple)))
        repeated = args[0]
        if isinstance(repeated, Fixed) and len(repeated.shape) == len(sizes) and repeated.shape[0] != 1:
            return None
        alone = [[1, *sizes[1:]] if argument is sizes else argument for argument in args]
        return apply(torch.squeeze, _call(target, alone, kwargs), 0)

    def _displaced(
        self, builder: Builder, target: Any, args: Sequence[Any], kwargs: Mapping[str, Any], recorded: Any
    ) -> Displaced:
        """A constant that is repeated along a batch axis behind others, such as the first state of a recurrent cell."""
        found = self._batch.place(recorded.shape) if target in _REPEATS_ONE_SAMPLE else None
        if found is None or found[1] != 1:
            builder.mixing("computes with the batch size")
        axis, repeated = found[0], args[0]
        sizes = next(argument for argument in args if isinstance(argument, (list, tuple)))
        if isinstance(repeated, Fixed) and (len(repeated.shape) != len(sizes) or repeated.shape[axis] != 1):
            builder.mixing("computes with the batch size")
        single = [1 if place == axis else size for place, size in enumerate(sizes)]
        call = _call(target, [single if argument is sizes else argument for argument in args], kwargs)
        layout = Layout(len(recorded.shape) - 1 - axis)
        builder.layout = layout
        return Displaced(builder.node(Fixed(call, (*recorded.shape[:axis], 1, *recorded.shape[axis + 1 :]))), layout)

    def _stand_in(self, builder: Builder) -> Any:
        """A placeholder for the result of an unsupported operation, so that those after it are still examined."""
        recorded = builder.result
        shape = self._batch.sample_shape(recorded.shape) if isinstance(recorded, Tensor) else None
        return UNKNOWN if shape is None else builder.emit(Unlowered(), shape=shape)


def _is_random(target: Any) -> bool:
    return torch.Tag.nondeterministic_seeded in getattr(target, "tags", ())


def bind(target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """All arguments in the order of the operation's schema, defaults filled in."""
    bound = list(args)
    for argument in target._schema.arguments[len(args) :]:
        bound.append(kwargs.get(argument.name, argument.default_value))
    return bound


def _live(output: fx.Node) -> list[fx.Node]:
    """The operations that `output` depends on, in program order."""
    needed, pending = {output}, [output]
    while pending:
        fresh = [node for node in pending.pop().all_input_nodes if node not in needed]
        needed.update(fresh)
        pending.extend(fresh)
    return [node for node in output.graph.nodes if node in needed]


def _expressions(value: Any) -> Any:
    """Constants inside arguments as the expressions that compute them."""
    if isinstance(value, Fixed):
        return value.expression
    if isinstance(value, (tuple, list)):
        return [_expressions(item) for item in value]
    return value


def _call(target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Expression:
    options = tuple((key, _expressions(value)) for key, value in kwargs.items())
    return Call(target, tuple(_expressions(argument) for argument in args), options)


def _as_nodes(builder: Builder, value: Any) -> Any:
    """Constants with a batch axis as nodes, where no operand depends on the input."""
    if isinstance(value, Fixed) and value.expression is None:
        return builder.node(value)
    if isinstance(value, (tuple, list)):
        return [_as_nodes(builder, item) for item in value]
    return value


def _undisplaced(value: Any) -> Any:
    """The nodes of values whose layout the builder knows."""
    if isinstance(value, Displaced):
        return value.node
    if isinstance(value, (tuple, list)):
        return [_undisplaced(item) for item in value]
    return value


def _described(builder: Builder, target: Any, reason: str) -> UnsupportedOp:
    """The report of one unsupported operation, with the line that would register a rule if none exists."""
    name = str(target)
    hint = reason or f"register a rule with @autodual.extend.lowers(torch.ops.{name})"
    return UnsupportedOp(name, builder.source.module, builder.source.line, hint)
