"""Rules of recurrent operators: unrolled over the entries of their sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from autodual.frontend import compositions
from autodual.frontend.compositions import reshaped, sliced, total
from autodual.frontend.constants import apply
from autodual.frontend.construction import Unsupported
from autodual.frontend.onnx.attributes import Attributes, fixed, whole_numbers
from autodual.frontend.onnx.builder import OnnxBuilder
from autodual.frontend.onnx.operands import Branch, Static, Value
from autodual.frontend.onnx.registry import onnx_op
from autodual.frontend.onnx.rules.recurrent_activations import Activation, activations
from autodual.frontend.onnx.rules.shapes import concatenate, transposed
from autodual.ir import Expression, Node
from autodual.ir.ops import ElementwiseAffine, Linear

#: Makes the next states of the gates' view of one input and the states before; the first state is the output.
Step = Callable[[Node, "tuple[Node | None, ...]"], "tuple[Node, ...]"]


@dataclass(frozen=True, eq=False)
class Layer:
    """One direction of a recurrent layer: how many gates it has, their size, and its weights and activations."""

    builder: OnnxBuilder
    gates: int
    size: int
    weight: Expression
    recurrent: Expression
    bias: Expression | None
    functions: tuple[Activation, ...]

    def halves(self, start: int, stop: int) -> tuple[Expression | None, Expression | None]:
        """The biases of the gates from `start` to `stop`: that of the input, and that of the hidden state."""
        if self.bias is None:
            return None, None
        places = ((half * self.gates + start) * self.size for half in (0, 1))
        first, second = (apply(torch.narrow, self.bias, 0, place, (stop - start) * self.size) for place in places)
        return first, second

    def hidden(self, state: Node | None, start: int, stop: int, bias: Expression | None = None) -> Node | None:
        """The hidden state times the weights of the gates from `start` to `stop`."""
        if state is None:
            return None
        weight = apply(torch.narrow, self.recurrent, 0, start * self.size, (stop - start) * self.size)
        shape = (*state.shape[:-1], (stop - start) * self.size)
        return self.builder.emit(Linear(weight, bias), state, shape=shape)

    def gate(self, x: Node, place: int) -> Node:
        """One gate's part of what all gates see."""
        return sliced(self.builder, x, len(x.shape) - 1, place * self.size, (place + 1) * self.size)

    def summed(self, x: Node, y: Node | None) -> Node:
        return x if y is None else total(self.builder, x, y)


@onnx_op("RNN")
def simple(builder: OnnxBuilder, attributes: Attributes, *operands: Value | None) -> tuple[Branch, ...]:
    """f(W x + R h + b)."""

    def step(layer: Layer) -> Step:
        def run(x: Node, states: tuple[Node | None, ...]) -> tuple[Node, ...]:
            return (layer.functions[0](layer.summed(x, layer.hidden(states[0], 0, 1))),)

        return run

    return _unrolled(builder, attributes, operands, 1, ("Tanh",), step, _summed_bias)


@onnx_op("GRU")
def gated(builder: OnnxBuilder, attributes: Attributes, *operands: Value | None) -> tuple[Branch, ...]:
    """Gates z (update) and r (reset), and the candidate, which sees the hidden state times r."""
    before = bool(attributes.get("linear_before_reset", 0))

    def step(layer: Layer) -> Step:
        gate, candidate = layer.functions
        of_hidden = layer.halves(2, 3)[1]

        def run(x: Node, states: tuple[Node | None, ...]) -> tuple[Node, ...]:
            (hidden,) = states
            seen = layer.hidden(hidden, 0, 2)
            update, reset = (
                gate(layer.summed(layer.gate(x, place), None if seen is None else layer.gate(seen, place)))
                for place in (0, 1)
            )
            if before:
                inner = layer.hidden(hidden, 2, 3, of_hidden) if hidden is not None else _constant(layer, of_hidden, x)
                part = None if inner is None else compositions.product(builder, reset, inner)
            else:
                part = None if hidden is None else layer.hidden(compositions.product(builder, reset, hidden), 2, 3)
            return (compositions.gru_step(builder, update, candidate(layer.summed(layer.gate(x, 2), part)), hidden),)

        return run

    return _unrolled(
        builder, attributes, operands, 3, ("Sigmoid", "Tanh"), step, _reset_bias if before else _summed_bias
    )


@onnx_op("LSTM")
def long_short(builder: OnnxBuilder, attributes: Attributes, *operands: Value | None) -> tuple[Branch, ...]:
    """Gates i, o, f and the candidate c, and a state of the cell beside the hidden one."""
    peephole = operands[7] if len(operands) > 7 else None
    weights = None if peephole is None else builder.weight(fixed(peephole, "peepholes"))
    directions = iter(range(2))

    def step(layer: Layer) -> Step:
        direction = next(directions)

        def peeping(place: int) -> Callable[[Node, Node | None], Node]:
            def run(x: Node, cell: Node | None) -> Node:
                if weights is None or cell is None:
                    return x
                row = apply(torch.select, weights, 0, direction)
                own = apply(torch.narrow, row, 0, place * layer.size, layer.size)
                return total(builder, x, builder.emit(ElementwiseAffine(own), cell))

            return run

        def run(x: Node, states: tuple[Node | None, ...]) -> tuple[Node, ...]:
            hidden, cell = states
            seen = layer.summed(x, layer.hidden(hidden, 0, 4))
            gates = [layer.gate(seen, place) for place in range(4)]
            coupled = bool(attributes.get("input_forget", 0))
            peepholes = [peeping(place) for place in range(3)]
            return compositions.lstm_step(builder, gates, cell, layer.functions, peepholes, coupled=coupled)

        return run

    return _unrolled(builder, attributes, operands, 4, ("Sigmoid", "Tanh", "Tanh"), step, _summed_bias, states=2)


def _summed_bias(layer: Layer) -> Expression | None:
    """The sum of the input's and the hidden state's biases."""
    first, second = layer.halves(0, layer.gates)
    return None if first is None or second is None else apply(torch.add, first, second)


def _reset_bias(layer: Layer) -> Expression | None:
    """The same without the hidden state's bias of the candidate, which the reset gate multiplies first."""
    first, _ = layer.halves(0, layer.gates)
    _, second = layer.halves(0, layer.gates - 1)
    _, last = layer.halves(layer.gates - 1, layer.gates)
    if first is None or second is None or last is None:
        return None
    return apply(torch.add, first, apply(torch.cat, [second, apply(torch.zeros_like, last)]))


def _constant(layer: Layer, bias: Expression | None, like: Node) -> Node | None:
    """A bias alone, for each entry of the batch."""
    if bias is None:
        return None
    x = layer.gate(like, 2)
    return layer.builder.emit(ElementwiseAffine(apply(torch.zeros_like, bias), bias), x)


def _unrolled(
    builder: OnnxBuilder,
    attributes: Attributes,
    operands: Sequence[Value | None],
    gates: int,
    defaults: tuple[str, ...],
    make: Callable[[Layer], Step],
    bias_of: Callable[[Layer], Expression | None],
    states: int = 1,
) -> tuple[Branch, ...]:
    """All outputs `[L, D, B, H]`, then the last of each state `[D, B, H]`; batch first with layout=1."""
    x, weight, recurrent, bias, lengths, *initial = (*operands, *[None] * 8)[:7]
    assert x is not None
    first = bool(attributes.get("layout", 0))
    if first:
        x = _swapped(builder, x)
        initial = [None if state is None else _swapped(builder, state) for state in initial]
    length, batch, _ = x.shape
    count = _length(lengths, length)
    ways = {"forward": (1,), "reverse": (-1,), "bidirectional": (1, -1)}.get(attributes.get("direction", "forward"))
    if ways is None:
        raise Unsupported(f"its direction is '{attributes.get('direction')}'")
    tensors = [fixed(tensor, "weights") for tensor in (weight, recurrent)]
    size = tensors[1].shape[-1]
    if any(tensor.shape[:2] != (len(ways), gates * size) for tensor in tensors):
        raise Unsupported("its weights do not fit its direction and hidden size")
    outputs, last = [], []
    for place, way in enumerate(ways):
        parameters = [apply(torch.select, builder.weight(tensor), 0, place) for tensor in tensors]
        own = None if bias is None else apply(torch.select, builder.weight(fixed(bias, "biases")), 0, place)
        functions = activations(builder, attributes, defaults, place)
        layer = Layer(builder, gates, size, parameters[0], parameters[1], own, functions)
        seen = builder.emit(Linear(layer.weight, bias_of(layer)), builder.full(x), shape=(length, batch, gates * size))
        before = tuple(_state(builder, state, place) for state in initial[:states])
        every, after = _run(builder, make(layer), seen, before, range(count)[::way])
        outputs.append(every + [None] * (length - count))
        last.append(after)
    whole = _stacked(builder, outputs, (batch, size))
    ends = [
        _joined(builder, [builder.branch(after[place], (1, batch, size)) for after in last], 0)
        for place in range(states)
    ]
    if first:
        whole = transposed(builder, whole, (2, 0, 1, 3))
        ends = [transposed(builder, end, (1, 0, 2)) for end in ends]
    return (whole, *ends)


def _run(
    builder: OnnxBuilder, step: Step, seen: Node, states: tuple[Node | None, ...], order: Sequence[int]
) -> tuple[list[Node | None], tuple[Node, ...]]:
    """The hidden state after each entry of the sequence, and all states at the end."""
    every: list[Node | None] = [None] * len(order)
    inner = seen.shape[1:] if seen.shape[1] != 1 else seen.shape[2:]
    for place in order:
        here = sliced(builder, seen, 0, place, place + 1)
        states = step(reshaped(builder, here, inner), states)
        every[place] = states[0]
    return every, tuple(state for state in states if state is not None)


def _stacked(builder: OnnxBuilder, outputs: Sequence[Sequence[Node | None]], shape: tuple[int, int]) -> Branch:
    """`[L, D, *shape]` from the hidden states of each direction; zero beyond the end of a sequence."""
    rows = []
    zeros = Static(np.zeros((1, 1, *shape), dtype=np.float32))
    for hidden in zip(*outputs, strict=True):
        parts = [zeros if node is None else builder.branch(node, (1, 1, *shape)) for node in hidden]
        rows.append(_joined(builder, parts, 1))
    return _joined(builder, rows, 0)


def _joined(builder: OnnxBuilder, parts: Sequence[Value], axis: int) -> Branch:
    return concatenate(builder, Attributes(13, {"axis": axis}), *parts)


def _swapped(builder: OnnxBuilder, x: Value) -> Value:
    """The first two axes exchanged."""
    return Static(x.array.swapaxes(0, 1)) if isinstance(x, Static) else transposed(builder, x, (1, 0, 2))


def _length(lengths: Value | None, longest: int) -> int:
    """How many entries of the sequence count."""
    if lengths is None:
        return longest
    found = set(whole_numbers(lengths, "sequence lengths"))
    if len(found) != 1 or not 0 < min(found) <= longest:
        raise Unsupported("the sequences of its batch differ in length")
    return found.pop()


def _state(builder: OnnxBuilder, states: Value | None, place: int) -> Node | None:
    """The initial state of one direction, None where it is zero."""
    if states is None or (isinstance(states, Static) and not states.array.any()):
        return None
    _, batch, size = states.shape
    whole = builder.full(states)
    part = sliced(builder, whole, 0, place, place + 1)
    return reshaped(builder, part, (size,) if batch == 1 else (batch, size))
