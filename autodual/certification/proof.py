"""Which samples are proved: bounds beyond their own rounding error, in float64 where float32 cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from autodual.certification.guaranteed_halfspaces import Deployment, deployment_of, fits, guaranteed
from autodual.errors import InvalidInputError
from autodual.network import Ask, DualNetwork
from autodual.perturbations import Searchable, Support
from autodual.specs import Specification
from autodual.tensors import bounding_dtype, flat

# A bound more than this many rounding errors below zero is not computed again in float64: rounding is not to blame.
_HOPE = 32.0


@dataclass(frozen=True, eq=False)
class Proof:
    """Guaranteed lower bounds `[N, S]` of a specification's half-spaces, and whether it is proved, bool `[N]`.

    error `[N, S]` is the rounding error that `lower` already allows for; double `[N]`: whether float64 decided.
    deployed `[N, S]`: how far a run of the network may be from the half-spaces' values, infinite if nothing is known;
    deployment: of what run, and why. nominal `[N, S]`: the half-spaces' values at the samples. failure_probability
    `[N]`: of the proof, above 0 where norms were estimated from random projections; estimates and inflation: how many,
    and by what each was raised for that.
    """

    lower: Tensor
    error: Tensor
    margin: Tensor
    proved: Tensor
    double: Tensor
    deployed: Tensor
    nominal: Tensor
    failure_probability: Tensor
    deployment: Deployment
    estimates: int = 0
    inflation: float = 1.0


def prove(dual: DualNetwork, region: Support, spec: Specification, ask: Ask, *, deployed: bool = False) -> Proof:
    """Bound a specification over a region in its dtype (float32 for half precision), and in float64 what that leaves
    open by rounding alone.

    All tensors of the proof are float64. NaN and infinity prove nothing. An ask with exact=False lets the plan's
    projections take part, if they hold with a probability; all is float64 then, for random numbers of any size leave
    float32 no digits. deployed: what is proved is to hold of a run of the network too; raises InvalidInputError if that
    has no analysis.
    """
    estimates = ask.exact is False and _certifies(dual, region)
    ask = replace(ask, rigorous=True, executed=True, exact=not estimates)
    region = region.to(torch.float64 if estimates else bounding_dtype(region.centre.dtype))

    def bound(region: Support, spec: Specification, ask: Ask) -> Proof:
        return _bound(dual, region, spec, ask, deployed=deployed)

    def double(region: Support, spec: Specification, ask: Ask) -> Proof:
        return bound(region.to(torch.float64), spec, ask)

    with torch.no_grad():
        searches = ask.slopes == "optimized"
        first = bound(region, spec, replace(ask, slopes="adaptive") if searches else ask)
        # A specification that fails at the sample itself cannot hold over its set.
        home = _at_home(region)
        true = (spec.margin(first.nominal) > 0) | ~home
        if searches:
            # A search for slopes is slow, so it runs only on samples that nothing cheaper has proved.
            index = (~first.proved & true).nonzero().squeeze(1)
            first = _again(first, index, region, spec, ask, bound)
        if region.centre.dtype == torch.float64:
            return first
        decisive = first.lower - first.deployed if deployed else first.lower
        hopeful = nearly(spec, first.lower, first.error) | _open_by_rounding(first, spec, decisive, home)
        index = (~first.proved & ~first.double & hopeful).nonzero().squeeze(1)
        return _again(first, index, region, spec, ask, double)


def _at_home(region: Support) -> Tensor:
    """Which samples `[N]` are known to lie in their own sets."""
    if isinstance(region, Searchable):
        return region.contains(region.centre)
    return torch.zeros(region.count, dtype=torch.bool, device=region.centre.device)


def nearly(spec: Specification, lower: Tensor, error: Tensor) -> Tensor:
    """Samples whose bounds are negative by at most so many times their error, or NaN: bool `[N]`.

    lower, error: bounds of the half-spaces and the error that they allow for, `[N, S]`.
    """
    return ~(spec.margin(_hoped(lower, error)) <= 0)


def _hoped(lower: Tensor, error: Tensor) -> Tensor:
    return lower + _HOPE * error.clamp(max=torch.finfo(error.dtype).max / (2 * _HOPE))


def _open_by_rounding(proof: Proof, spec: Specification, decisive: Tensor, home: Tensor) -> Tensor:
    """Samples `[N]` with a part, such as a pixel, that is true at the sample and undecided, maybe by rounding alone.

    Other parts of the sample may be false or without hope. decisive `[N, S]`: what is to be positive; home `[N]`: which
    samples lie in their own sets, so that what is false at the sample is false of the set.
    """
    margins, values = spec.parts(decisive), spec.parts(proof.nominal)
    undecided = ~((margins > 0) & margins.isfinite())
    true = (values > 0) | ~(home.unsqueeze(1) | values.isnan())
    hopeless = spec.parts(_hoped(proof.lower, proof.error + _inside(proof))) <= 0
    return (undecided & true & ~hopeless).any(1)


def _inside(proof: Proof) -> Tensor:
    """What rounding inside the network may have cost bounds in float32, to first order, `[N, S]`: intervals were
    widened, too. A run in float32 is off by what goes through the network in the same way.
    """
    known = proof.deployment.dtype == torch.float32
    return proof.deployed if known else torch.full_like(proof.deployed, torch.inf)


def _again(
    first: Proof,
    index: Tensor,
    region: Support,
    spec: Specification,
    ask: Ask,
    bound: Callable[[Support, Specification, Ask], Proof],
) -> Proof:
    """The proof with some of the samples bounded once more."""
    if index.shape[0] == 0:
        return first
    return _replaced(first, index, bound(region.select(index), spec.select(index), ask.select(index)))


def _certifies(dual: DualNetwork, region: Support) -> bool:
    projection = dual.compiled(region.centre).plan.options.projection
    return projection is not None and projection.certifies


def _bound(dual: DualNetwork, region: Support, spec: Specification, ask: Ask, *, deployed: bool) -> Proof:
    # Offsets may depend on the nominal outputs; in float64 their own error is far below that of the bounds.
    outputs = dual.outputs(region.centre.double())
    rows = spec.rows(outputs)
    if not fits(rows, region.centre.dtype):
        region = region.to(torch.float64)
    x = region.centre
    result = dual(x, region.source, rows.form, ask=ask)
    assert result.objective is not None and result.execution is not None
    lower, error = guaranteed(result.objective, rows)
    # A network that returns no numbers is proved nothing of, even where the number it lost meets only zero padding.
    lower = torch.where(flat(outputs).isfinite().all(1, keepdim=True), lower, -torch.inf)
    deployment, run = deployment_of(result.execution, rows, spec, lower)
    if deployed and not deployment.analysed:
        raise InvalidInputError(
            f"{deployment.reason}, so nothing can be said of a run of this network: certify it in real arithmetic alone"
        )
    margin = spec.margin(lower)
    decisive = spec.margin(lower - run) if deployed else margin
    return Proof(
        lower=lower,
        error=error,
        margin=margin,
        proved=(decisive > 0) & decisive.isfinite(),
        double=torch.full_like(margin, x.dtype == torch.float64, dtype=torch.bool),
        deployed=run,
        nominal=rows.values(flat(outputs)),
        failure_probability=result.failure_probability,
        deployment=deployment,
        estimates=result.estimates,
        inflation=result.inflation,
    )


def _replaced(first: Proof, index: Tensor, second: Proof) -> Proof:
    """The proof of all samples with that of some in their places, but for how likely it is to fail."""
    merged: dict[str, Any] = {}
    for field in fields(Proof):
        old, new = getattr(first, field.name), getattr(second, field.name)
        if isinstance(old, Tensor) and field.name != "failure_probability":
            merged[field.name] = old.index_copy(0, index, new)
    return replace(first, **merged)
