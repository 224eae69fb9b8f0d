"""Bounds that others are held against: those of the linear program (3.6), and the network's own least values."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy
import torch
from torch import Tensor
from typing_extensions import Unpack

from autodual.errors import InvalidInputError
from autodual.exact.branch_and_bound import Goal
from autodual.exact.least_value import LargestOf, least_over
from autodual.exact.network_program import ExactNetwork
from autodual.exact.time_allowed import Clock, checked_seconds
from autodual.inputs import Numbers, Samples, number_tensor, sample_tensor
from autodual.network import Ask, DualNetwork, given_network
from autodual.network.ask_options import PolicyOptions
from autodual.network.checked_objective import checked_objective
from autodual.network.keywords import takes
from autodual.perturbations import PerturbationSet, perturbation_set, require_support


@dataclass(frozen=True, eq=False)
class LeastValues:
    """The least values of S linear functions over the sets around N samples, each between two numbers.

    Args:
        lower: proved lower bounds, float64 `[N, S]`.
        upper: values that the network takes, `[N, S]`; infinite where no point was found.
        points: where it takes them, `[N, S, *shape]`.
        programs: how many linear programs were solved for each, int `[N, S]`.

    Example:
        >>> import autodual, torch
        >>> dual = autodual.compile_dual(torch.nn.ReLU())
        >>> found = autodual.exact_bounds(dual, torch.zeros(1, 2), autodual.LinfBall(1.0), torch.eye(2))
        >>> found.upper
        tensor([[0., 0.]], dtype=torch.float64)
    """

    lower: Tensor
    upper: Tensor
    points: Tensor
    programs: Tensor


@takes(PolicyOptions, slopes="adaptive")
def lp_bounds(
    dual: DualNetwork,
    x: Samples,
    ball: PerturbationSet,
    objective: Numbers,
    *,
    ask: Ask | None = None,
    **options: Unpack[PolicyOptions],
) -> Tensor:
    """The bounds of the linear program (3.6): the best that any choice of slopes gives over the same inner bounds.

    The program has the convex hull of every ReLU (and of every other piecewise-linear op) over its bounds, which are
    those of the dual network. HiGHS solves it, and its value is proved again from the multipliers, rounding included.

    Args:
        dual: the dual network, of piecewise-linear ops.
        x: samples `[N, *shape]`.
        ball: the set around each: an l∞ or l1 ball, a box, or a product of these.
        objective: the functions' coefficients, as in `DualNetwork.lower_bounds`.

    Returns:
        Lower bounds of objective · f, float64 `[N, S]`; not differentiable.

    Raises:
        InvalidInputError: an op or the set has no exact form, or highspy is not installed.

    Example:
        >>> import autodual, torch
        >>> dual = autodual.compile_dual(torch.nn.ReLU())
        >>> x, ball = torch.tensor([[0.0, 0.5]]), autodual.LinfBall(1.0)
        >>> autodual.lp_bounds(dual, x, ball, -torch.eye(2)).round(decimals=6)
        tensor([[-1.0000, -1.5000]], dtype=torch.float64)
    """
    ask = Ask.of(ask, options, lp_bounds)
    return _least_values(dual, x, ball, objective, ask, Goal(above=-math.inf), math.inf).lower


@takes(PolicyOptions, slopes="adaptive")
def exact_bounds(
    dual: DualNetwork,
    x: Samples,
    ball: PerturbationSet,
    objective: Numbers,
    *,
    gap: float = 1e-6,
    time_limit: float = math.inf,
    ask: Ask | None = None,
    **options: Unpack[PolicyOptions],
) -> LeastValues:
    """The network's least values over the sets, by branch and bound over its undecided units.

    Args:
        dual: the dual network, of piecewise-linear ops.
        x: samples `[N, *shape]`.
        ball: the set around each: an l∞ or l1 ball, a box, or a product of these.
        objective: the functions' coefficients, as in `DualNetwork.lower_bounds`.
        gap: how far the proved bound may stay below the least value found.
        time_limit: seconds for each function of each sample, after which both are what they are.

    Returns:
        A lower bound and a value of each minimum.

    Raises:
        InvalidInputError: an op or the set has no exact form, gap or time limit make no sense, or highspy is not
            installed.

    Example:
        >>> import autodual, torch
        >>> dual = autodual.compile_dual(torch.nn.ReLU())
        >>> found = autodual.exact_bounds(dual, torch.tensor([[0.5, -2.0]]), autodual.LinfBall(1.0), torch.eye(2))
        >>> bool((found.lower <= found.upper).all()), found.upper
        (True, tensor([[0., 0.]], dtype=torch.float64))
    """
    ask = Ask.of(ask, options, exact_bounds)
    if not 0 <= gap < math.inf:
        raise InvalidInputError(f"gap must be a finite number of at least 0, not {gap}")
    seconds = checked_seconds(time_limit, "time_limit")
    return _least_values(dual, x, ball, objective, ask, Goal(gap=gap), seconds)


def _least_values(
    dual: DualNetwork,
    x: Samples,
    ball: PerturbationSet,
    objective: Numbers,
    ask: Ask,
    goal: Goal,
    time_limit: float,
) -> LeastValues:
    dual, x = given_network(dual), sample_tensor(x).double()
    exact = ExactNetwork.of(dual, x)
    region = require_support(perturbation_set(ball).at(x))
    given = number_tensor(objective, "objective")
    rows = checked_objective(given.double(), x, dual.output_shape(x), None).whole
    rows = rows.detach().cpu().expand(x.shape[0], -1, -1)
    ask = replace(ask, all_units=True)
    found = []
    for sample, functions in enumerate(rows):
        places = exact.over_members(region.select(torch.tensor([sample], device=x.device)), ask)
        found.append([least_over(exact, places, _function(row), goal, Clock(time_limit)) for row in functions])

    def table(name: str, dtype: torch.dtype = torch.float64) -> Tensor:
        values = [getattr(each, name) for mine in found for each in mine]
        return torch.tensor(values, dtype=dtype).reshape(rows.shape[:2])

    points = x.unsqueeze(1).repeat(1, rows.shape[1], *[1] * (x.dim() - 1))
    for sample, mine in enumerate(found):
        for place, each in enumerate(mine):
            if each.point is not None:
                points[sample, place] = each.point[0]
    return LeastValues(table("lower"), table("upper"), points, table("parts", torch.long))


def _function(row: Tensor) -> LargestOf:
    nothing = numpy.zeros(1)
    return LargestOf(row.flatten().unsqueeze(0).numpy(), nothing, nothing)
