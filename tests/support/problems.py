"""One table of problems for every dual rule: an op, the shapes of its inputs, and tensors for its parameters.

A rule without a problem here fails `test_every_rule_has_a_problem`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import product
from math import inf, pi

import torch
from torch import Tensor

from autodual.dual import AffineRule, DualLayer, find_rule
from autodual.ir import Environment, Node, Op, Parameter, ops
from autodual.ir.scalars import CurveOp, Domain, StairOp, WaveOp, declarations
from autodual.testing import check_dual_rule

#: Distance of intervals from the ends of domains, where slopes may be infinite.
NEAR = 1e-3


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
    """A convolution with bias, or None if the kernel does not fit."""
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
    """All combinations on small images, also with strides that leave a remainder; a few in one and three dimensions."""
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
    """Intervals whose ends are at or near these points, on either side."""
    steps = (-0.5, 0.0, 1e-3)
    ends = sorted({point + step for point in points for step in steps})
    return tuple((low, high) for low, high in product(ends, ends) if low <= high)


def _curve(name: str, op: Op, *points: float, **options) -> Problem:
    """A function of one scalar that bends at some points."""
    return Problem(name, op, ((3,),), {}, bounds=_around(*points), **options)


def _declared() -> Iterator[Problem]:
    """All declared functions of one scalar, each around its declared points (knots, inflections, turning points)."""
    for op in (op for entry in declarations() for op in entry.tried()):
        if isinstance(op, StairOp):
            yield _curve(_called(op), op, -0.5, 0, 1, 1.5)
        elif isinstance(op, WaveOp):
            yield _curve(_called(op), op, *(op.start + place * pi / 2 for place in (-2, -1, 1, 4)))
        elif isinstance(op, CurveOp):
            yield from _of_curve(op)


def _of_curve(op: CurveOp) -> Iterator[Problem]:
    known = op.curve()
    points = {*known.inflections, *known.turning, *known.knots} or {0.0}
    for stretch in known.domain or (Domain(),):
        name = f"{_called(op)}{' of negative numbers' if stretch.end <= 0 else ''}"
        low, high = stretch.start + NEAR, stretch.end - NEAR
        around = points if low < min(points) and max(points) < high else ()
        yield _curve(name, op, *around, domain=(low, high))


def _called(op: Op) -> str:
    """The op's kind and the values of its parameters; a boolean parameter is named only if it is true."""
    values = {field.name: getattr(op, field.name) for field in fields(op)}  # type: ignore[arg-type]
    shown = [name * value if isinstance(value, bool) else _short(value) for name, value in values.items()]
    return " ".join([op.kind.replace("_", " "), *filter(None, shown)])


def _short(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _rectifiers() -> Iterator[Problem]:
    yield _curve("relu", ops.Relu(), 0)
    yield Problem("relu of one number", ops.Relu(), ((),), {})
    yield Problem("relu of an image", ops.Relu(), ((2, 3, 2),), {})
    slopes = torch.tensor([0.1, -1.0, 2.0, 1.0, 0.0]).double().reshape(5, 1)
    yield Problem("leaky relu", ops.LeakyRelu(Parameter("s")), ((5, 2),), {"s": slopes})
    yield _curve("within", ops.Within(-1.0, 1.0), -1.0, 1.0)


def _remarkable() -> Iterator[Problem]:
    """Intervals around points that the declarations do not list: thresholds, poles, ends of domains."""
    yield _curve("softplus at its threshold", ops.Softplus(), 20)
    yield _curve("softplus at a low threshold", ops.Softplus(3.0, 5.0), 5 / 3)
    yield _curve("tan between poles", ops.Tan(), 0, domain=(-1.57, 1.57))
    yield _curve("tan of another branch", ops.Tan(), 22, domain=(7 * pi - 1.57, 7 * pi + 1.57))
    yield _curve("log near 0", ops.Log(), domain=(1e-6, inf))
    # At the ends of these domains the slope or its derivative is infinite.
    for exponent in (0.5, 1.5):
        touching = ((0.0, 0.0), (0.0, 1e-3), (0.0, 1.0), (0.0, 30.0))
        name = f"power {exponent} from 0"
        yield Problem(name, ops.Power(exponent), ((3,),), {}, touching, (1e-6, inf), gradients=False)
    for op, low, high in ((ops.Arcsin(), -1.0, 1.0), (ops.Arccos(), -1.0, 1.0), (ops.Arccosh(), 1.0, 30.0)):
        touching = ((low, low), (low, low + 1e-3), (low, high), (high - 1e-3, high), (high, high))
        domain = (low, high) if high == 1 else (low, inf)
        yield Problem(f"{op.kind} from end to end", op, ((3,),), {}, touching, domain, gradients=False)


def _other_jumps() -> Iterator[Problem]:
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
    yield Problem("weighted mean", ops.WeightedMean(), ((2, 3), (3, 2)), {})
    yield Problem("weighted mean of heads", ops.WeightedMean(), ((2, 1, 3), (2, 3, 1)), {})
    yield from _tied()
    yield Problem("matrix product of heads", ops.MatrixProduct(), ((2, 1, 2), (2, 2, 1)), {})
    for count in (1, 2, 3, 4):
        yield Problem(f"maximum of {count}", ops.Maximum(), ((2,),) * count, {})
    for axis, shape in ((0, (3,)), (1, (2, 3)), (0, (1,))):
        yield Problem(f"log-softmax on {axis} of {list(shape)}", ops.LogSoftmax(axis), (shape,), {})
        yield Problem(f"log-sum-exp on {axis} of {list(shape)}", ops.LogSumExp(axis), (shape,), {})


def _tied() -> Iterator[Problem]:
    """Quotients whose operands are tied."""
    for axis, shape in ((0, (4,)), (1, (2, 3)), (0, (1,))):
        yield Problem(f"softmax on {axis} of {list(shape)}", ops.Softmax(axis), (shape,), {})
        yield Problem(f"normalised exponentials on {axis} of {list(shape)}", ops.NormalizedExp(axis), (shape,), {})
    weights = {"w": torch.tensor([1.0, 0.0, 0.5], dtype=torch.float64)}
    yield Problem("softmax with weights", ops.Softmax(0, Parameter("w")), ((3,),), weights)
    for name, op in (
        ("a norm", ops.DividedByNorm((0,), floor=1e-12)),
        ("a norm of at least a half", ops.DividedByNorm((0,), floor=0.5)),
        ("a root mean square", ops.DividedByNorm((0,), share=0.25, inside=1e-2)),
        ("a norm and a constant", ops.DividedByNorm((0,), floor=0.1, outside=0.2)),
        ("a sum of sizes", ops.DividedByNorm((0,), floor=1e-3, order=1)),
        ("a share of sizes", ops.DividedByNorm((0,), share=0.5, inside=0.1, floor=0.3, outside=0.2, order=1)),
    ):
        yield Problem(f"vectors divided by {name}", op, ((4,), (1,)), {})
    yield Problem("matrices divided by norms", ops.DividedByNorm((1, 2), 0.2, 1e-5), ((2, 2, 3), (2, 1, 1)), {})
    yield Problem(
        "positive vectors divided by norms", ops.DividedByNorm((1,)), ((2, 3), (2, 1)), {}, domain=(0.3, 50.0)
    )


AFFINE = [*_linear(), *convolutions(), *_pools(), *_elementwise(), *_structure(), *_more_affine()]
CURVES = [*_declared(), *_rectifiers(), *_remarkable(), *_other_jumps()]
NONLINEAR = [*CURVES, *_branches()]
PROBLEMS = [*AFFINE, *NONLINEAR]
