"""One table of problems for every dual rule: an op, the shapes of its inputs, and tensors for its parameters.

A rule without a problem here fails `test_every_rule_has_a_problem`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import inf, pi

import torch
from torch import Tensor

from autodual.dual import AffineRule, DualLayer, find_rule
from autodual.ir import Environment, Node, Op, Parameter, ops
from autodual.testing import check_dual_rule


@dataclass(frozen=True)
class Problem:
    """An op over inputs of these sample shapes; `parameters` by name, float64.

    bounds, domain, gradients: as `check_dual_rule` takes them.
    """

    name: str
    op: Op
    shapes: tuple[tuple[int, ...], ...]
    parameters: dict[str, Tensor]
    bounds: tuple[tuple[float, float], ...] = ()
    domain: tuple[float, float] = (-inf, inf)
    gradients: bool = True

    def check(self, **options) -> None:
        """The contract of the op's rule; raises DualRuleError."""
        check_dual_rule(
            self.op,
            shapes=self.shapes,
            parameters=self.parameters,
            bounds=self.bounds,
            domain=self.domain,
            gradients=self.gradients,
            **options,
        )

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


def _more_affine() -> Iterator[Problem]:
    shape = (2, 3, 4)
    yield Problem("take", ops.Take(Parameter("i"), (2, 3)), (shape,), {"i": torch.tensor([[5, 0, 23], [5, 7, 7]])})
    for axis in range(2):
        yield Problem(f"cumulative sum on {axis}", ops.CumulativeSum(axis), ((3, 4),), {})
    for mode in ("nearest", "nearest-exact", "bilinear"):
        corners = (False, True) if mode == "bilinear" else (None,)
        for align in corners:
            op = ops.Interpolate((5, 3), mode, align_corners=align)
            yield Problem(f"resampling {mode} {align}", op, ((2, 3, 4),), {})
    yield Problem("resampling by scales", ops.Interpolate((4, 7), "bilinear", False, (1.5, 1.8)), ((2, 3, 4),), {})
    yield Problem(
        "contraction on the left", ops.Contraction("tc,dt->dc", Parameter("w")), ((3, 4),), {"w": normal(2, 3)}
    )
    yield Problem(
        "contraction of two axes", ops.Contraction("abc,cad->bd", Parameter("w")), (shape,), {"w": normal(4, 2, 5)}
    )
    for stride, padding, extra, dilation, groups in ((1, 0, 0, 1, 1), (2, 1, 1, 1, 2), (3, 0, 0, 2, 1)):
        two = ((stride,) * 2, (padding,) * 2, (extra,) * 2, (dilation,) * 2)
        op = ops.TransposedConvolution(Parameter("w"), Parameter("b"), *two, groups)
        made = {"w": normal(2, 3, 3, 2), "b": normal(3 * groups, seed=1)}
        yield Problem(f"transposed convolution s{stride} p{padding} d{dilation} g{groups}", op, ((2, 3, 4),), made)


def _around(*points: float) -> tuple[tuple[float, float], ...]:
    """Intervals that begin and end near points, on either side of them and in them."""
    steps = (-0.5, 0.0, 1e-3)
    ends = sorted({point + step for point in points for step in steps})
    return tuple((low, high) for low, high in product(ends, ends) if low <= high)


def _curve(name: str, op: Op, *points: float, **options) -> Problem:
    """A function of one scalar that bends at some points."""
    return Problem(name, op, ((3,),), {}, bounds=_around(*points), **options)


def _activations() -> Iterator[Problem]:
    yield _curve("relu", ops.Relu(), 0)
    yield Problem("relu of one number", ops.Relu(), ((),), {})
    yield Problem("relu of an image", ops.Relu(), ((2, 3, 2),), {})
    slopes = torch.tensor([0.1, -1.0, 2.0, 1.0, 0.0]).double().reshape(5, 1)
    yield Problem("leaky relu", ops.LeakyRelu(Parameter("s")), ((5, 2),), {"s": slopes})
    for low, high in ((-1, 1), (0, 6), (None, 0.5), (-0.5, None), (1, -1), (2, 2)):
        ends = [float(end) for end in (low, high) if end is not None]
        yield _curve(f"clamp {low} {high}", ops.Clamp(low, high), *ends)
    for kind in (ops.Sigmoid, ops.Tanh, ops.Arctan, ops.Erf, ops.Softsign, ops.Exp):
        yield _curve(kind.__name__.lower(), kind(), 0)
    yield _curve("silu", ops.Silu(), -2.4, -1.2785, 2.4)
    yield _curve("mish", ops.Mish(), -2.2564, -1.1924, 1.4906)
    yield _curve("gelu", ops.Gelu(), -(2**0.5), -0.7518, 2**0.5)
    yield _curve("gelu by tanh", ops.Gelu(tanh=True), -1.4185, -0.7525, 1.4185)
    yield _curve("hardswish", ops.HardSwish(), -3, -1.5, 3)
    for width in (0.5, 0.0):
        yield _curve(f"softshrink {width}", ops.Softshrink(width), -width, width)
    yield _curve("softplus", ops.Softplus(), 20)
    yield _curve("softplus of a low threshold", ops.Softplus(3.0, 5.0), 5 / 3)
    for alpha, scale, steep in (
        (1, 1, 1),
        (1.6732632423543772, 1.0507009873554805, 1),
        (1, 1, 0.5),
        (2, 1, 1),
        (-1, 1, 1),
    ):
        yield _curve(f"elu {alpha} {scale} {steep}", ops.Elu(alpha, scale, steep), 0)


def _waves_and_powers() -> Iterator[Problem]:
    turns = [place * 3.141592653589793 / 2 for place in (-2, -1, 1, 4)]
    yield _curve("sin", ops.Sin(), *turns)
    yield _curve("cos", ops.Cos(), *turns)
    yield _curve("log", ops.Log(), domain=(1e-6, inf))
    for exponent in (0, 1, 2, 3, 4, 5):
        yield _curve(f"power {exponent}", ops.Power(float(exponent)), 0)
    for exponent in (0.5, 1.5):
        yield _curve(f"power {exponent}", ops.Power(exponent), domain=(1e-6, inf))
        # At 0 itself the slope, or the slope's slope, is infinite.
        touching = ((0.0, 0.0), (0.0, 1e-3), (0.0, 1.0), (0.0, 30.0))
        name = f"power {exponent} from 0"
        yield Problem(name, ops.Power(exponent), ((3,),), {}, touching, (1e-6, inf), gradients=False)
    for exponent in (-0.5, -1, -1.5, -2, -3):
        yield _curve(f"power {exponent}", ops.Power(float(exponent)), domain=(1e-3, inf))
    for exponent in (-1, -2, -3):
        yield _curve(f"power {exponent} of negative numbers", ops.Power(float(exponent)), domain=(-inf, -1e-3))


def _trigonometry() -> Iterator[Problem]:
    for kind in (ops.Sinh, ops.Cosh, ops.Arcsinh):
        yield _curve(kind.__name__.lower(), kind(), 0)
    yield _curve("tan", ops.Tan(), 0, domain=(-1.57, 1.57))
    yield _curve("tan of another branch", ops.Tan(), 22, domain=(7 * pi - 1.57, 7 * pi + 1.57))
    yield _curve("arcsin", ops.Arcsin(), 0, domain=(-0.999, 0.999))
    yield _curve("arctanh", ops.Arctanh(), 0, domain=(-0.999, 0.999))
    yield _curve("arccosh", ops.Arccosh(), domain=(1.001, inf))
    # At the ends themselves the slope is infinite.
    for op, low, high in ((ops.Arcsin(), -1.0, 1.0), (ops.Arccos(), -1.0, 1.0), (ops.Arccosh(), 1.0, 30.0)):
        touching = ((low, low), (low, low + 1e-3), (low, high), (high - 1e-3, high), (high, high))
        domain = (low, high) if high == 1 else (low, inf)
        yield Problem(f"{op.kind} from end to end", op, ((3,),), {}, touching, domain, gradients=False)


def _steps() -> Iterator[Problem]:
    for op in (ops.Sign(), ops.Step(), ops.Step(inclusive=True), ops.Floor(), ops.Ceil(), ops.Round()):
        yield _curve(f"{op.kind}{' inclusive' if getattr(op, 'inclusive', False) else ''}", op, -0.5, 0, 1, 1.5)
    for divisor in (1.5, -1.5, 0.3):
        for truncated in (False, True):
            name = f"remainder of {divisor}{' towards zero' if truncated else ''}"
            op, made = ops.Remainder(Parameter("d"), truncated), {"d": torch.tensor(divisor).double()}
            yield Problem(name, op, ((3,),), made, _around(-1.5, 0, 1.5, 3))
    for dtype in (torch.float16, torch.bfloat16):
        yield _curve(f"cast to {str(dtype).removeprefix('torch.')}", ops.Cast(dtype), 0, 1, 65520)


def _branches() -> Iterator[Problem]:
    yield Problem("multiply", ops.Multiply(), ((2,),) * 2, {})
    yield Problem("multiply two numbers", ops.Multiply(), ((),) * 2, {})
    yield Problem("matrix product", ops.MatrixProduct(), ((2, 3), (3, 2)), {})
    yield Problem("matrix product of heads", ops.MatrixProduct(), ((2, 1, 2), (2, 2, 1)), {})
    for count in (1, 2, 3, 4):
        yield Problem(f"maximum of {count}", ops.Maximum(), ((2,),) * count, {})
    for axis, shape in ((0, (3,)), (1, (2, 3)), (0, (1,))):
        yield Problem(f"log-softmax on {axis} of {list(shape)}", ops.LogSoftmax(axis), (shape,), {})
        yield Problem(f"log-sum-exp on {axis} of {list(shape)}", ops.LogSumExp(axis), (shape,), {})


AFFINE = [*_linear(), *convolutions(), *_pools(), *_elementwise(), *_structure(), *_more_affine()]
CURVES = [*_activations(), *_waves_and_powers(), *_trigonometry(), *_steps()]
NONLINEAR = [*CURVES, *_branches()]
PROBLEMS = [*AFFINE, *NONLINEAR]
