"""One test case: a rule with an op, in one dtype on one device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from autodual.dual import AffineRule, DualLayer, NonlinearRule
from autodual.interval import Interval
from autodual.ir import Environment, Node, Op
from autodual.policies import SlopePolicy


@dataclass(frozen=True, eq=False)
class Case:
    """A rule and the op on which it is tested.

    Args:
        rule: the rule.
        op: the op.
        shapes: the sample shape of each input.
        parameters: tensors by the names that the op's expressions use.
        dtype: the dtype of the layer and its bounds.
        device: their device.
        seed: the seed of random numbers.
        samples: how many random intervals or points each check draws.
    """

    rule: AffineRule | NonlinearRule
    op: Op
    shapes: tuple[tuple[int, ...], ...]
    parameters: Mapping[str, Tensor]
    dtype: torch.dtype
    device: torch.device
    seed: int = 0
    samples: int = 64

    @cached_property
    def environment(self) -> Environment:
        """Evaluates the op's parameters, in the case's dtype on its device."""
        return Environment(self.parameters.__getitem__, self.dtype, self.device)

    @cached_property
    def exact(self) -> Case:
        """The same case in float64, the reference for other dtypes."""
        return self if self.dtype == torch.float64 else replace(self, dtype=torch.float64)

    @cached_property
    def node(self) -> Node:
        """A node with the op; its shape is that of the op's value at ones."""
        names = tuple(f"x{place}" for place in range(len(self.shapes)))
        ones = [torch.ones(1, *shape, dtype=self.dtype, device=self.device) for shape in self.shapes]
        return Node("node", self.op, names, tuple(self.op.forward(ones, self.environment).shape[1:]))

    @cached_property
    def affine(self) -> DualLayer:
        """The layer of an affine rule."""
        assert isinstance(self.rule, AffineRule)
        return self.rule.layer(self.node, self.shapes, self.environment)

    def relaxed(self, bounds: Sequence[Interval], policy: SlopePolicy) -> DualLayer:
        """The layer of a nonlinear rule over `bounds` `[N, *shape]` of each input, under a slope `policy`."""
        assert isinstance(self.rule, NonlinearRule)
        return self.rule.layer(self.op, bounds, self.environment, policy)

    def value(self, points: Sequence[Tensor]) -> Tensor:
        """The op at `points` `[…, *shape]` with any leading axes, in the points' dtype."""
        leading = points[0].dim() - len(self.shapes[0])
        batch = points[0].shape[:leading]
        flat = [point.reshape(-1, *shape) for point, shape in zip(points, self.shapes)]
        case = self if points[0].dtype == self.dtype else self.exact
        return self.op.forward(flat, case.environment).reshape(*batch, *self.node.shape)

    def tied(self, points: Sequence[Tensor]) -> list[Tensor]:
        """The `points` `[…, *shape]` of each input, tied to one another as the op says."""
        leading = points[0].dim() - len(self.shapes[0])
        flat = [point.reshape(-1, *shape) for point, shape in zip(points, self.shapes)]
        found = self.op.tied(flat, self.exact.environment)
        return [part.reshape(*points[0].shape[:leading], *part.shape[1:]) for part in found]

    @cached_property
    def ties(self) -> bool:
        """Whether the op knows its operands to be tied."""
        return type(self.op).tied is not Op.tied

    def normal(self, *size: int, place: int = 0) -> Tensor:
        """Normal numbers of a `size`, the same on every device and in every dtype; other ones for each `place`."""
        generator = torch.Generator().manual_seed(self.seed * 1009 + place)
        return torch.randn(size, generator=generator, dtype=torch.float64).to(self.device, self.dtype)

    def subject(self, policy: str | None = None) -> str:
        """The rule, op, dtype and slope `policy`, if any, as the subject of a message."""
        attributes = ", ".join(f"{name}={value}" for name, value in self.op.attributes().items())
        slopes = f"{policy} slopes, " if policy else ""
        shown = f"{type(self.op).__name__}({attributes})"
        return f"{type(self.rule).__name__} for {shown} ({slopes}{str(self.dtype).removeprefix('torch.')})"
