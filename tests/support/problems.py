"""One table of problems for every dual rule: an op, the shapes of its inputs, and tensors for its parameters.

A rule without a problem here fails `test_every_rule_has_a_problem`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from autodual.dual import DualLayer, find_rule
from autodual.dual.rule import AffineRule, RelaxationRule
from autodual.ir import Environment, Node, Op, Parameter, ops


@dataclass(frozen=True)
class Problem:
    """An op over inputs of these sample shapes; `parameters` by name, float64."""

    name: str
    op: Op
    shapes: tuple[tuple[int, ...], ...]
    parameters: dict[str, Tensor]

    @property
    def environment(self) -> Environment:
        return Environment(self.parameters.__getitem__, torch.float64, torch.device("cpu"))

    @property
    def node(self) -> Node:
        names = tuple(f"x{place}" for place in range(len(self.shapes)))
        zeros = [torch.zeros(1, *shape, dtype=torch.float64) for shape in self.shapes]
        return Node("node", self.op, names, tuple(self.op.forward(zeros, self.environment).shape[1:]))

    def layer(self) -> DualLayer:
        """The dual layer of an affine op."""
        rule = find_rule(self.op)
        assert isinstance(rule, AffineRule)
        return rule.layer(self.node, self.shapes, self.environment)

    def __str__(self) -> str:
        return self.name


def normal(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _linear() -> Iterator[Problem]:
    for shape in [(4,), (2, 4), (2, 3, 4)]:
        for bias in (None, Parameter("b")):
            op = ops.Linear(Parameter("w"), bias)
            name = f"linear of {list(shape)}{' with bias' if bias else ''}"
            yield Problem(name, op, (shape,), {"w": normal(5, 4), "b": normal(5, seed=1)})


def convolution(
    size: tuple[int, ...], kernel: int, stride: int, padding: int, dilation: int, groups: int, channels: int = 2
) -> Problem | None:
    """A convolution with bias, or None where the kernel does not fit."""
    if any(n + 2 * padding < dilation * (kernel - 1) + 1 for n in size):
        return None
    axes = len(size)
    op = ops.Convolution(
        Parameter("w"), Parameter("b"), (stride,) * axes, (padding,) * axes, (dilation,) * axes, groups
    )
    weight = normal(3 * groups, channels // groups, *(kernel,) * axes)
    name = f"convolution of {list(size)} k{kernel} s{stride} p{padding} d{dilation} g{groups} c{channels}"
    return Problem(name, op, ((channels, *size),), {"w": weight, "b": normal(3 * groups, seed=1)})


def convolutions() -> list[Problem]:
    """All combinations on small images, also strides that leave a remainder; a few over one and three axes."""
    grid = product([(7, 6)], (1, 2, 3), (1, 2, 3), (0, 1, 2), (1, 2), (1, 2))
    others = [
        ((9,), 3, 2, 1, 2, 1),
        ((8,), 2, 3, 0, 1, 2),
        ((4, 3, 5), 2, 2, 1, 1, 1),
        ((4, 4, 4), 3, 1, 1, 1, 2),
        ((7, 6), 3, 2, 1, 1, 1, 8),
        ((7, 6), 3, 2, 1, 2, 4, 8),
    ]
    made = [convolution(*case) for case in [*grid, *others]]
    return [problem for problem in made if problem is not None]


def _pools() -> Iterator[Problem]:
    options = product((1, 2, 3), (0, 1), (False, True), (True, False), (None, 5))
    for stride, padding, ceil, counted, divisor in options:
        op = ops.AveragePool((2, 3), (stride, stride), (padding, padding), ceil, counted, divisor)
        yield Problem(f"average pool s{stride} p{padding} {ceil} {counted} {divisor}", op, ((2, 6, 5),), {})
    yield Problem("average pool 1d", ops.AveragePool((2,), (2,), (1,)), ((2, 5),), {})
    yield Problem("average pool without channels", ops.AveragePool((2, 2), (2, 2), (0, 0)), ((5, 4),), {})
    yield Problem("adaptive pool", ops.AdaptiveAveragePool((2, 3)), ((2, 5, 4),), {})
    yield Problem("adaptive pool 1d", ops.AdaptiveAveragePool((3,)), ((2, 7),), {})


def _elementwise() -> Iterator[Problem]:
    made = {"s": normal(2, 1, 1), "t": normal(1, 3, 4, seed=1)}
    for factor, offset in [("s", "t"), ("t", "s"), ("s", None), (None, "t")]:
        op = ops.ElementwiseAffine(factor and Parameter(factor), offset and Parameter(offset))
        yield Problem(f"scale {factor} shift {offset}", op, ((2, 3, 4),), made)
    for kind in (ops.Add, ops.Subtract):
        yield Problem(kind.__name__.lower(), kind(), ((2, 3), (2, 3)), {})


def _structure() -> Iterator[Problem]:
    shape = (2, 3, 4)
    single = {
        "reshape": ops.Reshape((6, 4)),
        "flatten": ops.Reshape((24,)),
        "permute": ops.Permute((2, 0, 1)),
        "swap": ops.Permute((0, 2, 1)),
        "slice": ops.Slice(2, 1, 4, 2),
        "slice of channels": ops.Slice(0, 1, 2),
        "pad": ops.Pad((1, 2, 0, 1), 0.7),
        "crop": ops.Pad((-1, 1), -0.3),
        "mean": ops.Mean((1, 2)),
        "mean kept": ops.Mean((0,), keepdim=True),
        "sum": ops.Sum((0, 2)),
        "sum kept": ops.Sum((1,), keepdim=True),
    }
    for name, op in single.items():
        yield Problem(name, op, (shape,), {})
    yield Problem("expand", ops.Expand((2, 3, 4)), ((2, 1, 4),), {})
    for axis in range(3):
        other = tuple(extent + (place == axis) for place, extent in enumerate(shape))
        yield Problem(f"concatenate on {axis}", ops.Concatenate(axis), (shape, other, shape), {})
    yield Problem("constant", ops.Constant(Parameter("c")), (), {"c": normal(2, 3)})


AFFINE = [*_linear(), *convolutions(), *_pools(), *_elementwise(), *_structure()]
RELAXED = [Problem("relu", ops.Relu(), ((1,),), {})]


def relaxation(problem: Problem) -> RelaxationRule:
    """The rule of a nonlinear op."""
    rule = find_rule(problem.op)
    assert isinstance(rule, RelaxationRule)
    return rule
