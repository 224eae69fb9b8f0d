"""The thesis' projection onto a Wasserstein ball (Algorithm 8), with an entropy that makes its dual smooth.

In units in which each image has mass 1, the plan Π minimises λ/2 ‖w − z‖² + Σ Π log Π, where z is where it arrives.
The dual, maximised by one block of variables after the other, is

    D(a, b, ψ) = −‖b‖² / 2λ − ψ ε + ⟨a, x⟩ + ⟨b, w⟩ − Σ_ij exp(a_i + b_j − ψ C_ij − 1),   ψ ≥ 0.

Everything is kept as logarithms: the printed form overflows float32 at λ = 1000. An iterate is no point of the ball, so
its plan is repaired, and the iteration ends where the repaired plan is as good as the dual says that any can be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.perturbations.wasserstein.moves import Moves
from autodual.perturbations.wasserstein.transport_plan import arrivals, costs, plan_cost, repaired, values_at_targets

#: The share of the budget that is left to pay for rounding, by the budget's dtype.
_LEFT = {torch.float64: 1e-12}


def entropic_projection(
    w: Tensor,
    x: Tensor,
    budget: Tensor,
    moves: Moves,
    strength: float = 1000.0,
    tolerance: float = 1e-4,
    iterations: int = 2000,
) -> Tensor:
    """Points of the balls around x near w; the larger the strength, the nearer they are to the nearest ones.

    Args:
        w: what is projected, finite, `[N, *channels, H, W]`.
        x: the images around which the balls lie, of the same shape, nonnegative.
        budget: mass times distance that may be spent on each, `[N]`.
        moves: where mass may move.
        strength: λ, of the distance against the entropy, in images of mass 1.
        tolerance: the duality gap, relative to the value, at which a sample is done.
        iterations: at most so many.

    Returns:
        Points of the balls, `[N, *channels, H, W]`.

    Example:
        >>> import torch
        >>> from autodual.perturbations.wasserstein.entropic_projection import entropic_projection
        >>> from autodual.perturbations.wasserstein.moves import Moves
        >>> x, w = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])
        >>> entropic_projection(w, x, torch.tensor([0.25]), Moves(3)).round(decimals=4)
        tensor([[[0.7500, 0.2500]]])
    """
    if torch.finfo(x.dtype).bits < 32:  # half precision cannot tell whether the gap is closed
        narrow, (w, x, budget) = x.dtype, (values.float() for values in (w, x, budget))
        return entropic_projection(w, x, budget, moves, strength, tolerance, iterations).to(narrow)
    mass = x.flatten(1).sum(1)
    found, index = x.clone(), ((mass > 0) & (budget > 0)).nonzero().squeeze(1)
    scale = mass.reshape(-1, *[1] * (x.dim() - 1))
    dual = _Dual.of(w[index] / scale[index], x[index] / scale[index], used((budget / mass)[index]), moves, strength)
    for iteration in range(1, iterations + 1):
        if not len(index):
            break
        dual.ascend()
        if iteration % 10 == 0 or iteration == iterations:
            plan, gap = dual.repaired()
            done = (gap <= tolerance) | (iteration == iterations)
            found[index[done]] = arrivals(plan[:, done], moves) * scale[index[done]]
            index, dual = index[~done], dual.select(~done)
    return found


@dataclass(eq=False)
class _Dual:
    """The dual of n samples of mass 1 and its variables; `plan` has exact rows, by a, b and ψ as they were."""

    w: Tensor
    x: Tensor
    budget: Tensor
    moves: Moves
    strength: float
    log_x: Tensor
    b: Tensor
    psi: Tensor
    plan: Tensor
    value: Tensor

    @classmethod
    def of(cls, w: Tensor, x: Tensor, budget: Tensor, moves: Moves, strength: float) -> _Dual:
        """Begins where no mass has moved; w gets the mass of x in each channel, which changes no point's rank."""
        w = w - (w - x).mean((-2, -1), keepdim=True)
        empty = x.new_zeros(0)
        b, psi = strength * (w - x), x.new_ones(len(x))
        return cls(w, x, budget, moves, strength, x.log(), b, psi, empty, empty)

    def select(self, kept: Tensor) -> _Dual:
        """The samples of a mask `[n]`."""
        parts = (self.w, self.x, self.budget, self.log_x, self.b, self.psi, self.value)
        w, x, budget, log_x, b, psi, value = (part[kept] for part in parts)
        return _Dual(w, x, budget, self.moves, self.strength, log_x, b, psi, self.plan[:, kept], value)

    def ascend(self) -> None:
        """One round: a, then ψ, then b."""
        cost, psi = costs(self.moves, self.x), self._each(self.psi)
        energy = values_at_targets(self.b, self.moves, -math.inf) - psi * cost - 1
        a = self.log_x - energy.logsumexp(0)
        self.plan = (energy + a).exp()
        self.value = self._value(a)
        slope, curvature = plan_cost(self.plan, self.moves) - self.budget, self._total(self.plan * cost**2)
        step = slope / curvature.clamp(min=torch.finfo(slope.dtype).tiny)
        self.psi = (self.psi + step.clamp(min=-self.psi, max=self.psi + 1)).clamp(min=0)
        reached = (values_at_targets(a, self.moves, -math.inf) - self._each(self.psi) * cost - 1).logsumexp(0)
        self.b = self.strength * self.w - _lambert(self.strength * self.w + reached + math.log(self.strength))

    def _value(self, a: Tensor) -> Tensor:
        """D, where a has just been maximised, so that the plan's mass is 1."""
        carried = torch.where(self.x > 0, a * self.x, 0) + self.b * self.w - self.b**2 / (2 * self.strength)
        return carried.flatten(1).double().sum(1) - (self.psi * self.budget).double() - 1

    def repaired(self) -> tuple[Tensor, Tensor]:
        """The last plan, repaired, and its duality gap relative to its value `[n]`."""
        plan = repaired(self.plan, self.x, self.budget, self.moves)
        miss = (self.w - arrivals(plan, self.moves)).flatten(1).double().square().sum(1)
        entropy = self._total(torch.special.entr(plan)).double()
        value = self.strength / 2 * miss - entropy
        return plan, (value - self.value) / (1 + value.abs())

    def _each(self, values: Tensor) -> Tensor:
        return values.reshape(-1, *[1] * (self.x.dim() - 1))

    def _total(self, values: Tensor) -> Tensor:
        return values.transpose(0, 1).flatten(1).sum(1)


def _lambert(t: Tensor) -> Tensor:
    """The u ≥ 0 with u + log u = t, also where e^t overflows; 0 at −inf."""
    low = t.clamp(min=-1e4)
    log_u = torch.where(low > 1, low.clamp(min=1).log(), low)
    for _ in range(6):
        u = log_u.exp()
        log_u = log_u - (log_u + u - low) / (1 + u)
    return log_u.exp()


def used(budget: Tensor) -> Tensor:
    """How much of a budget may be spent: a little less than all of it, since costs are rounded.

    Args:
        budget: of any shape.

    Example:
        >>> import torch
        >>> from autodual.perturbations.wasserstein.entropic_projection import used
        >>> used(torch.ones(1)) < 1
        tensor([True])
    """
    return (1 - _LEFT.get(budget.dtype, 1e-6)) * budget
