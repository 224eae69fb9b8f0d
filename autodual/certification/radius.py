"""The certified radius: how large a set around each sample can be certified (equation 3.29, with J > 0)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from typing_extensions import Unpack

from autodual.attacks import Attack
from autodual.attacks.base import given_attack
from autodual.certification.attacked_samples import attacked_samples
from autodual.certification.contradiction import Told
from autodual.certification.crossing import certified_below, expected_crossing
from autodual.certification.goal import chosen_goal
from autodual.certification.guaranteed_halfspaces import fits, guaranteed
from autodual.certification.proof import nearly, prove
from autodual.certification.same_network import require_same_network
from autodual.certification.showing import bound_words
from autodual.errors import InvalidInputError
from autodual.inputs import Labels, Samples, sample_tensor
from autodual.network import Ask, DualNetwork, given_network
from autodual.network.ask_options import PolicyOptions
from autodual.network.keywords import takes
from autodual.perturbations import PerturbationSet, perturbation_set
from autodual.progress import Progress, tracked
from autodual.specs import Rows, Specification
from autodual.tensors import bounding_dtype, flat

RadiusToSet = Callable[[Tensor], PerturbationSet]

_CHEAP_STEPS = 16
"""Bounds of a sample without an allowance for rounding at most, to find the crossing."""


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

    Plain bounds J(ε) find where J crosses zero, and bounds that allow for rounding are asked for just below and just
    above. J is not exactly monotone in ε, so this finds *a* crossing; every returned radius is one whose certificate
    was checked, rounding error included.

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
        InvalidInputError: max_radius, tolerance, labels or the set do not fit.
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
    _require_numbers(max_radius, tolerance, max_steps)
    attack = None if attack is None else given_attack(attack)
    if not callable(ball):
        raise InvalidInputError(
            f"ball must make a set from radii, such as autodual.LinfBall, but is {ball!r}; write LinfBall, not "
            "LinfBall(0.1)"
        )
    dual, x = given_network(dual), sample_tensor(x)
    require_same_network(dual, x)
    x = x.to(bounding_dtype(x.dtype))
    if max_radius > torch.finfo(x.dtype).max:
        raise InvalidInputError(f"{x.dtype} cannot hold max_radius={max_radius}; give a smaller one or float64 samples")
    with torch.no_grad():
        spec = chosen_goal(dual, dual.outputs(x), labels, spec)
        outputs = dual.outputs(x.double())
    nominal = spec.margin_of(spec.rows(outputs), flat(outputs))
    probe = _Probe(dual, x, ball, spec, replace(ask, exact=True))
    limit, allowed = x.new_full((x.shape[0],), max_radius), tolerance * max_radius
    active, cheap = (nominal > 0).nonzero()[:, 0], min(max_steps // 2, _CHEAP_STEPS)
    with tracked(progress, x.shape[0]) as advance, torch.no_grad():

        def told(left: int, step: int) -> None:
            advance(x.shape[0] - left, f"step {step + 1}" if left else "done")

        expected = expected_crossing(probe.margins, nominal, limit, active, allowed, cheap)
        radii = certified_below(probe.proved, expected, limit, active, allowed, max_steps - cheap, told)
    if attack is not None:
        probe.attack(radii, attack)
    return radii


def _require_numbers(max_radius: float, tolerance: float, max_steps: int) -> None:
    if not 0 < max_radius < float("inf"):
        raise InvalidInputError(f"max_radius must be positive and finite, not {max_radius}")
    if not 0 <= tolerance < float("inf"):
        raise InvalidInputError(f"tolerance must be finite and not negative, not {tolerance}")
    if not isinstance(max_steps, int) or max_steps < 0:
        raise InvalidInputError(f"max_steps must be a whole number, 0 or more, not {max_steps!r}")


@dataclass(frozen=True, eq=False)
class _Probe:
    """Bounds of J at given radii."""

    dual: DualNetwork
    x: Tensor
    ball: RadiusToSet
    spec: Specification
    ask: Ask

    def margins(self, index: Tensor, radius: Tensor) -> Tensor:
        """The bounds `[n]` of some samples at the radii `[N]` of all, without an allowance for rounding."""
        return self._bounds(index, radius, self.ask)[0]

    def proved(self, index: Tensor, radius: Tensor) -> Tensor:
        """Whether the margins are proved, `[n]`. As in `certify`, float64 decides what rounding may leave open."""
        ask = replace(self.ask, rigorous=True)
        margin, nearly_proved = self._bounds(index, radius, ask)
        holds = (margin > 0) & margin.isfinite()
        again = (~holds & nearly_proved).nonzero().squeeze(1)
        if self.x.dtype == torch.float64 or again.shape[0] == 0:
            return holds
        wide, _ = replace(self, x=self.x.double())._bounds(index[again], radius.double(), ask)
        return holds.index_copy(0, again, (wide > 0) & wide.isfinite())

    def attack(self, radii: Tensor, attack: Attack) -> None:
        """Raise ContradictionError where an attack breaks a bound over a set of radius `[N]` above 0."""
        index = (radii > 0).nonzero().squeeze(1)
        if index.shape[0] == 0:
            return
        region, spec = perturbation_set(self.ball(radii)).at(self.x).select(index), self.spec.select(index)
        proof = prove(self.dual, region, spec, replace(self.ask, rigorous=True))
        told, every = Told(bound_words("dual bound", self.ask)), torch.ones_like(index, dtype=torch.bool)
        attacked_samples(self.dual, region, spec, proof, attack, every, told, numbers=index)

    def _bounds(self, index: Tensor, radius: Tensor, ask: Ask) -> tuple[Tensor, Tensor]:
        """Margins `[n]`, and where rounding may be all that keeps them from being proved.

        The set is made for all samples, since it may hold something of its own for each.
        """
        spec, region = self.spec.select(index), perturbation_set(self.ball(radius)).at(self.x).select(index)
        x = region.centre
        rows = spec.rows(self.dual.outputs(x.double()))
        if not fits(rows, x.dtype):
            raise InvalidInputError(f"{x.dtype} cannot hold the property's coefficients; give float64 samples")
        found = [self._over(x, member, rows, spec, ask) for member in region.source.members()]
        margins, nearly_proved = (torch.stack(parts) for parts in zip(*found, strict=True))
        return margins.amin(0), nearly_proved.all(0)

    def _over(
        self, x: Tensor, ball: PerturbationSet, rows: Rows, spec: Specification, ask: Ask
    ) -> tuple[Tensor, Tensor]:
        """Over one member of the set: margins `[n]`, and what is nearly proved."""
        found = self.dual(x, ball, rows.form, ask=ask).objective
        assert found is not None
        if not ask.rigorous:
            margin = spec.margin(rows.form.complete(found.lower.double()) - rows.offset)
            return margin, torch.zeros_like(margin, dtype=torch.bool)
        lower, error = guaranteed(found, rows)
        return spec.margin(lower).to(x.dtype), nearly(spec, lower, error)
