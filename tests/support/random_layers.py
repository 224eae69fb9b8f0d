"""Random layers with all nonlinear ops, built in the intermediate representation, with inputs in the ops' domains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from autodual.ir import ops

if TYPE_CHECKING:
    from support.random_networks import Growth

#: Functions of one scalar that are defined everywhere.
ACTIVATIONS: tuple[ops.ElementwiseOp, ...] = (
    ops.Sigmoid(),
    ops.Tanh(),
    ops.Arctan(),
    ops.Erf(),
    ops.Softsign(),
    ops.Softplus(),
    ops.Softplus(2.0, 3.0),
    ops.Elu(),
    ops.Elu(2.0, 1.5),
    ops.Elu(-0.5, 1.0, 2.0),
    ops.Gelu(),
    ops.Gelu(tanh=True),
    ops.Silu(),
    ops.Mish(),
    ops.HardSwish(),
    ops.Softshrink(0.2),
    ops.Clamp(-0.3, 0.4),
    ops.Clamp(0.1, None),
    ops.Clamp(None, 0.2),
    ops.Sin(),
    ops.Cos(),
    ops.Power(2.0),
    ops.Power(3.0),
)
STEPS: tuple[ops.ElementwiseOp, ...] = (ops.Sign(), ops.Step(), ops.Step(True), ops.Floor(), ops.Ceil(), ops.Round())


def scaled(growth: Growth, at: str, factor: float, offset: float = 0.0) -> str:
    """factor · x + offset with the same numbers everywhere."""
    values = (torch.tensor(value, dtype=torch.float64) for value in (factor, offset))
    return growth.add(ops.ElementwiseAffine(*(growth.network.parameter(value) for value in values)), at)


def activation(growth: Growth, at: str) -> str:
    """A smooth or piecewise linear function, also of large and tiny multiples of the node."""
    factor = growth.choose(1.0, 1.0, 1.0, -3.0, 40.0, 1e-6)
    return growth.add(growth.choose(*ACTIVATIONS), at if factor == 1 else scaled(growth, at, factor))


def activations(growth: Growth, at: str) -> str:
    """Two functions of one node, combined by a sum, difference, maximum or product."""
    first = growth.add(growth.choose(*ACTIVATIONS), at)
    second = growth.add(growth.choose(ops.Relu(), *ACTIVATIONS), at)
    return growth.add(growth.choose(ops.Add(), ops.Subtract(), ops.Maximum(), ops.Multiply()), first, second)


def leaky(growth: Growth, at: str) -> str:
    """A leaky ReLU with slopes of both signs, also above one, for all units or per channel."""
    shape = growth.network.shape(at)
    plain = torch.tensor(growth.choose(0.1, -1.0, 1.0, 2.5, -0.3), dtype=torch.float64)
    slope = growth.choose(plain, 2 * growth.normal(shape[0], *(1,) * (len(shape) - 1)))
    return growth.add(ops.LeakyRelu(growth.network.parameter(slope)), at)


def maximum(growth: Growth, at: str) -> str:
    """The maximum of a node and of other layers' outputs for it, or constants."""
    shape = growth.network.shape(at)
    branches = [at]
    for _ in range(growth.choose(1, 2, 3)):
        kind = growth.choose("mixed", "mixed", "negative", "constant", "same")
        if kind == "mixed":
            branches.append(growth.mixing(at, keep_shape=True))
        elif kind == "negative":
            branches.append(scaled(growth, at, -1.0))
        elif kind == "constant":
            branches.append(growth.add(ops.Constant(growth.network.parameter(growth.normal(*shape)))))
        else:
            branches.append(at)
    return growth.add(ops.Maximum(), *branches)


def max_pool(growth: Growth, at: str) -> str:
    """Max-pooling over windows of the last axis, which may overlap, of a node or of a function of it."""
    shape = growth.network.shape(at)
    if shape[-1] < 2:
        return maximum(growth, at)
    source = growth.choose(at, None) or growth.add(growth.choose(*ACTIVATIONS), at)
    axis, step = len(shape) - 1, growth.choose(1, 2)
    pads = (1, 0, *(0, 0) * (len(shape) - 1))
    if growth.choose(False, True):
        source = growth.add(ops.Pad(pads, -1e6), source)
    extent = growth.network.shape(source)[-1]
    count = (extent - 2) // step + 1
    parts = [growth.add(ops.Slice(axis, first, first + (count - 1) * step + 1, step), source) for first in (0, 1)]
    return growth.add(ops.Maximum(), *parts)


def gate(growth: Growth, at: str) -> str:
    """A node times a function of it, itself, or a permuted or mixed copy."""
    kind = growth.choose("gated", "square", "mixed", "moved")
    other = at
    if kind == "gated":
        other = growth.add(growth.choose(*ACTIVATIONS), growth.mixing(at, keep_shape=True))
    elif kind == "mixed":
        other = growth.mixing(at, keep_shape=True)
    elif kind == "moved":
        other = flipped(growth, at)
    return growth.add(ops.Multiply(), *growth.choose((at, other), (other, at)))


def flipped(growth: Growth, at: str) -> str:
    """All scalars in reverse order, by the op that takes positions."""
    shape = growth.network.shape(at)
    size = torch.Size(shape).numel()
    # Positions must stay integers, and parameters of random networks are floats.
    positions = growth.network.positions(torch.arange(size - 1, -1, -1))
    return growth.add(ops.Take(positions, shape), at)


def products(growth: Growth, at: str) -> str:
    """x @ xᵀ or f(x)ᵀ @ x, products of two branches as in attention."""
    shape = growth.network.shape(at)
    if len(shape) < 2:
        return gate(growth, at)
    order = (*range(len(shape) - 2), len(shape) - 1, len(shape) - 2)
    other = growth.add(ops.Permute(order), growth.choose(at, None) or growth.mixing(at, keep_shape=True))
    return scaled(growth, growth.add(ops.MatrixProduct(), *growth.choose((at, other), (other, at))), 0.3)


def softmax(growth: Growth, at: str) -> str:
    """log-softmax, softmax or log-sum-exp along some axis."""
    axis = growth.choose(*range(len(growth.network.shape(at))))
    source = at if growth.choose(True, True, False) else scaled(growth, at, growth.choose(0.01, 30.0))
    kind = growth.choose("log", "plain", "sum")
    if kind == "sum":
        return growth.add(ops.LogSumExp(axis), source)
    found = growth.add(ops.LogSoftmax(axis), source)
    return growth.add(ops.Exp(), found) if kind == "plain" else found


def partial(growth: Growth, at: str) -> str:
    """Logarithms, roots, reciprocals and quotients of a value that stays inside their domain."""
    positive = scaled(growth, growth.add(growth.choose(ops.Softplus(), ops.Sigmoid(), ops.Relu()), at), 1.0, 0.2)
    found = growth.add(growth.choose(ops.Log(), *(ops.Power(p) for p in (0.5, -1.0, -0.5, -2.0, -3.0))), positive)
    return growth.add(ops.Multiply(), at, found) if growth.choose(False, True) else found


def steps(growth: Growth, at: str) -> str:
    """A step function."""
    return growth.add(growth.choose(*STEPS), scaled(growth, at, growth.choose(1.0, 5.0)))


def linear_maps(growth: Growth, at: str) -> str:
    """Affine ops that the piecewise linear random networks do not have."""
    shape = growth.network.shape(at)
    kind = growth.choose("flip", "contraction", "cumulative", "transposed", "resampled")
    if kind == "flip":
        return flipped(growth, at)
    if kind == "cumulative":
        return growth.add(ops.CumulativeSum(growth.choose(*range(len(shape)))), at)
    if kind == "contraction" or len(shape) < 2:
        letters = "abc"[: len(shape)]
        weight = growth.network.parameter(growth.weight(2, shape[0]))
        return growth.add(ops.Contraction(f"{letters},ka->k{letters[1:]}", weight), at)
    if kind == "transposed" and len(shape) <= 3:
        axes = len(shape) - 1
        weight = growth.network.parameter(growth.weight(shape[0], 2, *(2,) * axes))
        bias = growth.network.parameter(growth.bias(2))
        one, none = (1,) * axes, (0,) * axes
        return growth.add(ops.TransposedConvolution(weight, bias, one, none, none, one), at)
    modes = ("nearest", "linear" if len(shape) == 2 else "bilinear")
    return growth.add(ops.Interpolate(tuple(extent + 1 for extent in shape[1:]), growth.choose(*modes)), at)


#: Layers in addition to those of piecewise linear networks, by name.
LAYERS = {
    "activation": activation,
    "two activations": activations,
    "leaky": leaky,
    "maximum": maximum,
    "max-pool": max_pool,
    "gate": gate,
    "products": products,
    "softmax": softmax,
    "partial": partial,
    "linear maps": linear_maps,
}
