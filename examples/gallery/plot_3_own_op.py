"""
Teach autodual an operation of your own
=======================================

A model with an operation that autodual does not know is refused, and the message names the operation and its line of
code. Three small pieces teach it: the operation itself, how to recognise it in a model, and what encloses it over an
interval.
"""

# %%
# Ours is a Gaussian bump, exp(−z²), in a module of its own.

from dataclasses import dataclass

import matplotlib.pyplot as plt
import torch
from torch import nn

import autodual
from autodual.extend import Curve, CurveRule, ElementwiseOp, dual_rule, lowers_module
from autodual.interval import Interval
from autodual.ir import Environment
from autodual.testing import DualRuleError, check_dual_rule


class Bump(nn.Module):
    def forward(self, z):
        return torch.exp(-z * z)


# %%
# **The operation** computes its function, and **the lowering** says which module it stands for. Neither knows of
# bounds.


@dataclass(frozen=True, eq=False)
class BumpOp(ElementwiseOp):
    """exp(−z²)."""

    def function(self, x):
        return torch.exp(-x * x)


@lowers_module(Bump)
def lower_bump(builder, module, z):
    return builder.emit(BumpOp(), z)


# %%
# **The rule** is a curve: its value, its slope, its inflections and its turning points; it is convex on the far left.
# The tightest lines over any interval follow from these.


@dual_rule(BumpOp)
class BumpRule(CurveRule):
    def curve(self, op):
        return Curve(
            lambda z: torch.exp(-z * z),
            lambda z: -2 * z * torch.exp(-z * z),
            inflections=(-(0.5**0.5), 0.5**0.5),
            convex=True,
            turning=(0.0,),
        )


# %%
# A wrong rule makes wrong certificates, and nothing later would notice. So ``check_dual_rule`` tests everything that
# bounds rely on, and catches a rule with a mistake.

check_dual_rule(BumpRule(), BumpOp())


class Slip(BumpRule):
    def curve(self, op):
        return Curve(
            lambda z: torch.exp(-z * z), lambda z: -z * torch.exp(-z * z), inflections=(-1.0, 1.0), turning=(0.0,)
        )


try:
    check_dual_rule(Slip(), BumpOp())
except DualRuleError as error:
    print(error)

# %%
# The lines over four intervals: dashed where both must be parallel (shared slopes), solid where each is free
# (adaptive ones).

figure, axes = plt.subplots(1, 4, figsize=(9, 2.4), layout="constrained", sharey=True)
for axis, (low, high) in zip(axes, [(-2.5, -0.4), (-1.0, 0.8), (-0.3, 2.0), (-3.0, 3.0)]):
    z = torch.linspace(low, high, 101, dtype=torch.float64)
    bounds = [Interval(z[:1, None], z[-1:, None])]
    environment = Environment({}.__getitem__, torch.float64, z.device)
    axis.plot(z, torch.exp(-z * z), color="black")
    for slopes, style, colour in (("shared", "--", "#d95f02"), ("adaptive", "-", "#1b6ca8")):
        lines = BumpRule().relax(BumpOp(), bounds, environment, slopes)
        for (slope,), intercept in (
            (lines.lower_slopes, lines.lower_intercept),
            (lines.upper_slopes, lines.upper_intercept),
        ):
            axis.plot(z, slope.item() * z + intercept.item(), style, color=colour, linewidth=1)
    axis.set(title=f"[{low}, {high}]", xlabel="z")

# %%
# Models that contain the module now compile, certify and train like any other. Values at random points of the ball
# stay above the bound.

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 32), Bump(), nn.Linear(32, 16), Bump(), nn.Linear(16, 2))
x, ball = torch.rand(1, 4), autodual.LinfBall(0.1)
dual = autodual.compile_dual(model, x)
with torch.no_grad():
    reached = model(ball.at(x).sample(5000).flatten(0, 1))
    lower = dual.lower_bounds(x, ball, torch.eye(2), slopes="adaptive")[0]
    upper = dual.upper_bounds(x, ball, torch.eye(2), slopes="adaptive")[0]

figure, axis = plt.subplots(figsize=(4, 3.2), layout="constrained")
axis.plot(*reached.T, ".", markersize=1, color="#555555", label="reached")
corner, size = lower.tolist(), (upper - lower).tolist()
axis.add_patch(plt.Rectangle(corner, *size, fill=False, edgecolor="#1b6ca8", label="bounds"))
axis.set(xlabel="first output", ylabel="second output")
axis.legend()
