"""Whether a point lies in a Wasserstein ball: whether a transport plan within the budget takes the image to it.

An image of floating-point numbers can hardly have the mass of another one exactly. So a point counts as a member if a
true member is so near that the difference is what rounding does: at each pixel at most a share of the most that the
pixel can hold. `WassersteinRegion.rounding` pays for that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.interval import Interval
from autodual.perturbations.wasserstein.moves import Moves
from autodual.perturbations.wasserstein.transport_plan import costs, offsets

#: How far a member may lie from a true one, at each pixel: so many roundoffs of the most that the pixel can hold.
MEMBER_ROUNDOFFS = 128
#: Masses are scaled so that the largest is this, of which HiGHS' tolerance is a 1e-14th.
_PEAK, _TOLERANCE, _REFINEMENTS = 1e4, 1e-10, 4


def may_be_member(points: Tensor, x: Tensor, pixels: Interval) -> Tensor:
    """Whether a point has the mass of x, and each of its pixels a value that it can have, `[*, N]`: a cheap test.

    Args:
        points: `[*, N, *channels, H, W]`.
        x: the images around which the balls lie, `[N, *channels, H, W]`.
        pixels: their intervals over the balls, of the same shape.

    Example:
        >>> import torch
        >>> from autodual.interval import Interval
        >>> from autodual.perturbations.wasserstein.membership import may_be_member
        >>> x = torch.tensor([[[1.0, 0.0]]])
        >>> may_be_member(torch.tensor([[[0.75, 0.25]], [[0.75, 0.0]]])[:, None], x, Interval(0 * x, 0 * x + 1))
        tensor([[ True],
                [False]])
    """
    slack = _slack(pixels)
    inside = ((points >= pixels.lower - slack) & (points <= pixels.upper + slack) & (points >= 0)).flatten(-x.dim() + 1)
    lost = (points - x).double().sum((-2, -1)).abs() - slack.double().sum((-2, -1))
    leading = points.shape[: points.dim() - x.dim() + 1]
    return inside.all(-1) & (lost <= 0).reshape(*leading, lost.shape[len(leading) :].numel()).all(-1)


def is_member(points: Tensor, x: Tensor, budget: Tensor, moves: Moves, pixels: Interval) -> Tensor:
    """Whether each point lies in its ball, but for rounding, by a linear program for each that is not x itself.

    A yes rests on a plan that is checked here; a no on HiGHS, or on the lack of a plan that would pass.

    Args:
        points: `[N, *channels, H, W]`.
        x: the images around which the balls lie, of the same shape.
        budget: of each, `[N]`.
        moves: where mass may move.
        pixels: the intervals of pixels over the balls.

    Returns:
        bool `[N]`.

    Raises:
        InvalidInputError: a program is needed, and highspy is not installed.

    Example:
        >>> import torch
        >>> from autodual.interval import Interval
        >>> from autodual.perturbations.wasserstein.membership import is_member
        >>> from autodual.perturbations.wasserstein.moves import Moves
        >>> x, points = torch.tensor([[[1.0, 0.0]]] * 2), torch.tensor([[[0.75, 0.25]], [[0.5, 0.5]]])
        >>> is_member(points, x, torch.tensor([0.25, 0.25]), Moves(3), Interval(0 * x, 0 * x + 1))
        tensor([ True, False])
    """
    found = (points == x).flatten(1).all(1)
    index = (may_be_member(points, x, pixels) & ~found & (budget > 0)).nonzero().squeeze(1)
    slack = _slack(pixels) / 2
    share = 1 + MEMBER_ROUNDOFFS / 2 * torch.finfo(x.dtype).eps
    for sample in index.tolist():
        point, image, apart = (part[sample].detach().double().cpu().numpy() for part in (points, x, slack))
        found[sample] = _Transport.of(point, image, apart, moves).within(share * float(budget[sample]))
    return found


def _slack(pixels: Interval) -> Tensor:
    """How far a member's pixels may lie from a true member's."""
    return MEMBER_ROUNDOFFS * torch.finfo(pixels.upper.dtype).eps * pixels.upper.detach()


@dataclass(frozen=True, eq=False)
class _Transport:
    """A linear program over the moves of mass between the pixels of one image that hold some, as flat numpy arrays.

    source, target, cost: of each move, the former counted among `mass`, the latter among `aim`, which may be missed by
    `slack`.
    """

    source: Any
    target: Any
    cost: Any
    mass: Any
    aim: Any
    slack: Any

    @classmethod
    def of(cls, point: Any, x: Any, slack: Any, moves: Moves) -> _Transport:
        """Of a point and an image `[*channels, H, W]`; moves to pixels that the point leaves black do not exist."""
        height, width = x.shape[-2:]
        mass, aim, slack = (part.reshape(-1) for part in (x, point, slack))
        held = numpy.flatnonzero(mass)
        channel, row, column = numpy.unravel_index(held, (len(mass) // (height * width), height, width))
        shift = numpy.array(offsets(moves))
        down, right = row[:, None] + shift[:, 0], column[:, None] + shift[:, 1]
        exists = (down >= 0) & (down < height) & (right >= 0) & (right < width)
        place = (channel[:, None] * height + down) * width + right
        exists[exists] = aim[place[exists]] > 0
        source, move = numpy.nonzero(exists)
        cost = costs(moves, torch.zeros(0, dtype=torch.float64)).flatten().numpy()[move]
        filled, lookup = numpy.flatnonzero(aim), numpy.zeros(len(mass), int)
        lookup[filled] = numpy.arange(len(filled))
        return cls(source, lookup[place[source, move]], cost, mass[held], aim[filled], slack[filled])

    def within(self, budget: float) -> bool:
        """Whether a plan costs at most the budget and arrives at the aim.

        HiGHS leaves errors of its tolerance, which float64 can tell from rounding. So what a plan lacks is scaled up
        and made good by the same program, from the basis where it ended (Gleixner et al., 2016).
        """
        solver = _Solver(self)
        plan, scale = numpy.zeros(len(self.cost)), _PEAK / self.mass.max()
        for _ in range(_REFINEMENTS):
            mass, aim = self._lacking(plan)
            step = solver.step(scale * plan, scale * mass, scale * aim, scale * self.slack / 2, scale * budget)
            if step is None:
                return False
            plan = (plan + step / scale).clip(0)
            if self._proves(plan, budget):
                return True
            lack = max(numpy.abs(part).max() for part in self._lacking(plan))
            scale = min(_PEAK / max(lack, 1e-300), scale / _TOLERANCE)
        return False

    def _lacking(self, plan: Any) -> tuple[Any, Any]:
        """What the plan leaves of the image's mass, and what does not arrive."""
        left = self.mass - numpy.bincount(self.source, plan, len(self.mass))
        return left, self.aim - numpy.bincount(self.target, plan, len(self.aim))

    def _proves(self, plan: Any, budget: float) -> bool:
        """Whether the plan, each pixel's moves scaled to its mass, shows that the aim lies in the ball."""
        sums = numpy.bincount(self.source, plan, len(self.mass))
        if not (sums > 0).all():
            return False
        plan = plan * (self.mass / sums)[self.source]
        missed = numpy.abs(numpy.bincount(self.target, plan, len(self.aim)) - self.aim)
        return bool((missed <= self.slack).all() and (plan * self.cost).sum() <= budget)


class _Solver:
    """HiGHS on the program of a transport, whose steps go on from one another."""

    def __init__(self, transport: _Transport) -> None:
        try:
            import highspy
        except ImportError:
            raise InvalidInputError(
                "whether a point lies in a Wasserstein ball is decided by HiGHS; install it: pip install "
                "'autodual[exact]'"
            ) from None
        program, moves, rows = highspy.HighsLp(), len(transport.source), len(transport.mass)
        program.num_col_, program.num_row_ = moves, rows + len(transport.aim)
        program.col_cost_ = transport.cost
        program.col_lower_ = program.col_upper_ = numpy.zeros(moves)
        program.row_lower_ = program.row_upper_ = numpy.zeros(program.num_row_)
        program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        program.a_matrix_.start_ = numpy.arange(0, 2 * moves + 1, 2, dtype=numpy.int32)
        entries = numpy.stack([transport.source, rows + transport.target], 1)
        program.a_matrix_.index_, program.a_matrix_.value_ = entries.ravel().astype(numpy.int32), numpy.ones(2 * moves)
        # The class without callbacks, since the one with them prints a banner when it is made.
        self._highs: Any = highspy._Highs()  # type: ignore[attr-defined]
        self._optimal = highspy.HighsModelStatus.kOptimal
        options = {"output_flag": False, "threads": 1, "presolve": "off", "primal_feasibility_tolerance": _TOLERANCE}
        for option, value in options.items():
            self._highs.setOptionValue(option, value)
        self._highs.passModel(program)

    def step(self, plan: Any, mass: Any, aim: Any, slack: Any, budget: float) -> Any | None:
        """The cheapest change of a plan that moves so much more mass to so much more aim; None if there is none.

        The first is given up as soon as it must cost more than the budget.
        """
        self._highs.setOptionValue("objective_bound", math.inf if plan.any() else 1.001 * budget)
        columns, rows = (numpy.arange(size, dtype=numpy.int32) for size in (len(plan), len(mass) + len(aim)))
        self._highs.changeColsBounds(len(columns), columns, -plan, numpy.full(len(plan), math.inf))
        lower, upper = (numpy.concatenate([mass, end]) for end in (aim - slack, aim + slack))
        self._highs.changeRowsBounds(len(rows), rows, lower, upper)
        self._highs.run()
        if self._highs.getModelStatus() != self._optimal:
            return None
        return numpy.array(self._highs.getSolution().col_value, float)
