"""The certified radius: how large a set around each sample can be certified (equation 3.29, with J > 0)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from typing_extensions import Unpack

from autodual.attacks import Attack
from autodual.certification.attacked_samples import attacked_samples
from autodual.certification.contradiction import Told
from autodual.certification.goal import chosen_goal
from autodual.certification.guaranteed_halfspaces import fits, guaranteed
from autodual.certification.proof import nearly, prove
from autodual.certification.same_network import require_same_network
from autodual.certification.showing import bound_words
from autodual.errors import InvalidInputError
from autodual.inputs import Labels, Samples, sample_tensor
from autodual.network import Ask, DualNetwork, given_network
from autodual.network.ask import PolicyOptions
from autodual.network.chunks import recorded_chunk
from autodual.network.keywords import takes
from autodual.perturbations import PerturbationSet, perturbation_set
from autodual.progress import Progress, tracked
from autodual.specs import Rows, Specification
from autodual.tensors import bounding_dtype, flat

RadiusToSet = Callable[[Tensor], PerturbationSet]

_SHARE = 0.45
"""How far beyond Newton's point to look, as a share of the tolerance: on the side of the bracket that was not moved
last, so that a crossing is soon enclosed from both."""


@takes(PolicyOptions, slopes="adaptive")
def certified_radius(
    dual: DualNetwork,
    x: Samples,
    ball: RadiusToSet,
    labels: Labels | None = None,
    *,
    spec: Specification | None = None,
    max_radius: float = 1.0,
    tolerance: float = 1e-4,
    max_steps: int = 40,
    attack: Attack | None = None,
    progress: Progress = False,
    ask: Ask | None = None,
    **options: Unpack[PolicyOptions],
) -> Tensor:
    """For each sample a radius at which it was certified, little below one where it was not.

    Newton's method on J(ε) with J's own derivative, safeguarded by bisection. J is not exactly monotone in ε, so this
    finds *a* crossing; every returned radius is one whose certificate was checked, rounding error included.

    Args:
        dual: the dual network.
        x: samples `[N, *shape]`.
        ball: from per-sample radii `[N]` to a perturbation set, such as `autodual.LinfBall`.
        labels: the classes that must win, as in `certify`.
        spec: any other property instead.
        max_radius: nothing larger is asked for.
        tolerance: the search ends `tolerance · max_radius` below a radius that was not certified.
        max_steps: bounds of a sample at most; where they do not close the bracket, the largest radius certified so far
            is returned.
        attack: searches every certified set for a point that contradicts the certificate.
        progress: True for a bar, or a function that is told (see `autodual.progress`).

    Returns:
        `[N]` in x's dtype (float32 for half precision, in which nothing is bounded): 0 where the sample is
        misclassified or nothing can be certified, and `max_radius` where that is certified.

    Raises:
        InvalidInputError: max_radius, labels or the set do not fit.
        ModelChangedError: the model, run at x, is no longer the network that was compiled.
        ContradictionError: a point breaks a bound that was proved over its set, which is a bug; the error keeps the
            evidence.

    Example:
        >>> import autodual, torch
        >>> dual = autodual.compile_dual(torch.nn.Identity())  # scores are the inputs themselves
        >>> x, labels = torch.tensor([[1.0, 0.5], [0.0, 1.0]]), torch.tensor([0, 0])
        >>> radii = autodual.certified_radius(dual, x, autodual.LinfBall, labels=labels)
        >>> [round(radius, 3) for radius in radii.tolist()]
        [0.25, 0.0]
    """
    ask = Ask.of(ask, options, certified_radius)
    if not 0 < max_radius < float("inf"):
        raise InvalidInputError(f"max_radius must be positive and finite, not {max_radius}")
    if not callable(ball):
        raise InvalidInputError(
            f"ball must make a set from radii, such as autodual.LinfBall, but is {ball!r}; write LinfBall, not "
            "LinfBall(0.1)"
        )
    dual, x = given_network(dual), sample_tensor(x)
    require_same_network(dual, x)
    x = x.to(bounding_dtype(x.dtype))
    with torch.no_grad():
        spec = chosen_goal(dual, dual.outputs(x), labels, spec)
        outputs = dual.outputs(x.double())
    nominal = spec.margin_of(spec.rows(outputs), flat(outputs))
    probe = _Probe(dual, x, ball, spec, replace(ask, rigorous=True, exact=True))
    limit = x.new_full((x.shape[0],), max_radius)
    active = (nominal > 0).nonzero()[:, 0]
    with tracked(progress, x.shape[0]) as advance:
        radii = _search(probe, limit, active, tolerance * max_radius, max_steps, advance)
    if attack is not None:
        probe.attack(radii, attack)
    return radii


@dataclass(frozen=True, eq=False)
class _Probe:
    """J and its derivative at given radii."""

    dual: DualNetwork
    x: Tensor
    ball: RadiusToSet
    spec: Specification
    ask: Ask

    def __call__(self, index: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
        """The guaranteed margin `[n]` of some samples at the radii `[N]` of all, and its derivative in the radius.

        As in `certify`, float64 decides what rounding alone may leave open.
        """
        margin, slope, nearly_proved = self._bounds(index, radius)
        again = (~(margin > 0) & nearly_proved).nonzero().squeeze(1)
        if self.x.dtype == torch.float64 or again.shape[0] == 0:
            return margin, slope
        wide = replace(self, x=self.x.double())._bounds(index[again], radius.double())
        # A margin that is too small for x's dtype is still one.
        return _placed(margin, again, wide[0]), slope.index_copy(0, again, wide[1].to(slope))

    def attack(self, radii: Tensor, attack: Attack) -> None:
        """Raise ContradictionError where an attack breaks a bound over a set of radius `[N]` above 0."""
        index = (radii > 0).nonzero().squeeze(1)
        if index.shape[0] == 0:
            return
        region, spec = perturbation_set(self.ball(radii)).at(self.x).select(index), self.spec.select(index)
        proof = prove(self.dual, region, spec, self.ask)
        told, every = Told(bound_words("dual bound", self.ask)), torch.ones_like(index, dtype=torch.bool)
        attacked_samples(self.dual, region, spec, proof, attack, every, told, numbers=index)

    def _bounds(self, index: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Margins, their derivatives, and where rounding may be all that keeps them from being proved."""
        plan = self.dual.compiled(self.x).plan
        chunk = recorded_chunk(plan.graph, plan.sites, self.x, plan.options.memory_budget)
        found = [self._margin(some, radius) for some in index.split(chunk)]
        margin, slope, nearly_proved = (torch.cat(parts) for parts in zip(*found, strict=True))
        return margin, slope, nearly_proved

    def _margin(self, index: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same for no more samples than memory allows.

        The set is made for all samples, since it may hold something of its own for each.
        """
        spec = self.spec.select(index)
        with torch.enable_grad():
            radius = radius.detach().clone().requires_grad_()
            region = perturbation_set(self.ball(radius)).at(self.x).select(index)
            x = region.centre
            rows = spec.rows(self.dual.outputs(x.double()).detach())
            if not fits(rows, x.dtype):
                raise InvalidInputError(f"{x.dtype} cannot hold the property's coefficients; give float64 samples")
            found = [self._over(x, member, rows, spec, radius) for member in region.source.members()]
        margins, slopes, nearly_proved = (torch.stack(parts) for parts in zip(*found, strict=True))
        # NaN proves nothing, so it decides.
        worst = margins.nan_to_num(nan=-torch.inf, posinf=torch.inf).argmin(0)
        return margins.amin(0), slopes[worst, index], nearly_proved.all(0)

    def _over(
        self, x: Tensor, ball: PerturbationSet, rows: Rows, spec: Specification, radius: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Over one member of the set: margins `[n]`, the derivative in all radii `[N]`, and what is nearly proved."""
        found = self.dual(x, ball, rows.form, ask=self.ask).objective
        assert found is not None
        lower, error = guaranteed(found, rows)
        margin = spec.margin(lower).to(x.dtype)
        # Adding 0 · radius gives a derivative even if the margin does not depend on the radius. Members may share
        # what was made of the radii, so its graph is kept.
        (slope,) = torch.autograd.grad(margin.sum() + 0 * radius.sum(), radius, retain_graph=True)
        return margin.detach(), slope, nearly(spec, lower.detach(), error.detach())


def _placed(margin: Tensor, index: Tensor, wide: Tensor) -> Tensor:
    """Margins with some replaced by those of float64, of which positive ones stay positive in the margins' dtype."""
    some = wide.to(margin)
    lost = (wide > 0) & ~(some > 0)
    return margin.index_copy(0, index, torch.where(lost, torch.finfo(margin.dtype).tiny, some))


def _search(
    probe: _Probe,
    limit: Tensor,
    active: Tensor,
    tolerance: float,
    max_steps: int,
    advance: Callable[[int, str], None],
) -> Tensor:
    """Shrink [certified, refused] around a crossing of the margin of each active sample; 0 for all others."""
    certified, refused = torch.zeros_like(limit), limit.clone()
    guess = limit.clone()
    for step in range(max_steps):
        advance(limit.shape[0] - active.shape[0], f"step {step + 1}")
        if active.shape[0] == 0:
            break
        margin, slope = probe(active, guess)
        proved = (margin > 0) & margin.isfinite()
        certified[active] = torch.where(proved, guess[active].maximum(certified[active]), certified[active])
        refused[active] = torch.where(proved, refused[active], guess[active].minimum(refused[active]))
        # The first guess is the limit itself, since no larger radius is asked for.
        done = proved if step == 0 else torch.zeros_like(proved)
        done = done | (refused[active] - certified[active] <= tolerance)
        towards = torch.where(proved, _SHARE * tolerance, -_SHARE * tolerance)
        newton = guess[active] - margin / slope + towards
        guess[active] = _next(newton, certified[active], refused[active], step)
        active = active[~done]
    advance(limit.shape[0] - active.shape[0], "done")
    return certified


def _next(newton: Tensor, low: Tensor, high: Tensor, step: int) -> Tensor:
    """Newton's point; the middle where that leaves the bracket, and every 4th step."""
    middle = (low + high) / 2
    inside = newton.isfinite() & (newton > low) & (newton < high)
    return middle if step % 4 == 3 else torch.where(inside, newton, middle)
