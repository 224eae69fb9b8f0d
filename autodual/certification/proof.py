"""Which samples are proved: bounds beyond their own rounding error, in float64 where float32 cannot tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from autodual.certification.contradiction import Told, require_consistent
from autodual.certification.guaranteed_halfspaces import deployment_of, fits, guaranteed
from autodual.certification.proof_parts import Proof, over_all, replaced
from autodual.certification.showing import bound_words
from autodual.errors import InvalidInputError
from autodual.network import Ask, DualNetwork
from autodual.perturbations import Searchable, Support, require_support
from autodual.specs import Specification
from autodual.tensors import bounding_dtype, flat

# A bound more than this many rounding errors below zero is not computed again in float64: rounding is not to blame.
# Where errors are those of the bound alone, what intervals inside lost to rounding comes on top. Where they count that,
# too, float64 gained at most 2.5 of them on networks of up to 16 layers.
_HOPE, _FULL_HOPE = 32.0, 8.0


def prove(dual: DualNetwork, region: Support, spec: Specification, ask: Ask, *, deployed: bool = False) -> Proof:
    """Bound a specification over a region in its dtype (float32 for half precision), and in float64 what that leaves
    open by rounding alone; over each member of a union by itself.

    All tensors of the proof are float64. NaN and infinity prove nothing. An ask with exact=False lets the plan's
    projections take part, if they hold with a probability; all is float64 then, for random numbers of any size leave
    float32 no digits. deployed: what is proved is to hold of a run of the network too; raises InvalidInputError if that
    has no analysis. Raises ContradictionError where the sample itself breaks a bound that is proved over its set.
    """
    members = region.source.members()
    if len(members) == 1:
        found = _prove(dual, region, spec, ask, deployed=deployed)
    else:
        placed = (require_support(member.at(region.centre)) for member in members)
        found = over_all([_prove(dual, member, spec, ask, deployed=deployed) for member in placed])
    if bool((found.nominal < found.lower - found.error).any()):
        told = Told(bound_words("dual bound", ask), deployed=deployed)
        require_consistent(dual, region, spec, found, region.centre, told)
    return found


def _prove(dual: DualNetwork, region: Support, spec: Specification, ask: Ask, *, deployed: bool) -> Proof:
    """`prove` for a set that is no union."""
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
        hopeful = nearly(spec, first.lower, first.error, _FULL_HOPE) | _open_by_rounding(first, spec, home)
        index = (~first.proved & ~first.double & hopeful).nonzero().squeeze(1)
        return _again(first, index, region, spec, ask, double)


def _at_home(region: Support) -> Tensor:
    """Which samples `[N]` are known to lie in their own sets."""
    if isinstance(region, Searchable):
        return region.contains(region.centre)
    return torch.zeros(region.count, dtype=torch.bool, device=region.centre.device)


def nearly(spec: Specification, lower: Tensor, error: Tensor, times: float = _HOPE) -> Tensor:
    """Samples whose bounds are negative by at most so many times their error, or NaN: bool `[N]`.

    lower, error: bounds of the half-spaces and the error that they allow for, `[N, S]`.
    """
    return ~(spec.margin(_hoped(lower, error, times)) <= 0)


def _hoped(lower: Tensor, error: Tensor, times: float) -> Tensor:
    return lower + times * error.clamp(max=torch.finfo(error.dtype).max / (2 * times))


def _open_by_rounding(proof: Proof, spec: Specification, home: Tensor) -> Tensor:
    """Samples `[N]` with a part, such as a pixel, that is true at the sample and undecided, maybe by rounding alone.

    Other parts of the sample may be false or without hope. home `[N]`: which samples lie in their own sets, so that
    what is false at the sample is false of the set.
    """
    margins, values = spec.parts(proof.decisive), spec.parts(proof.nominal)
    undecided = ~((margins > 0) & margins.isfinite())
    true = (values > 0) | ~(home.unsqueeze(1) | values.isnan())
    hopeless = spec.parts(_hoped(proof.lower, proof.error + _inside(proof), _FULL_HOPE)) <= 0
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
    return replaced(first, index, bound(region.select(index), spec.select(index), ask.select(index)))


def _certifies(dual: DualNetwork, region: Support) -> bool:
    projection = dual.compiled(region.centre).plan.options.projection
    return projection is not None and projection.certifies


def _bound(dual: DualNetwork, region: Support, spec: Specification, ask: Ask, *, deployed: bool) -> Proof:
    # Offsets may depend on the nominal outputs; in float64 their own error is far below that of the bounds.
    outputs = dual.outputs(region.centre.double())
    rows = spec.rows(outputs)
    if not fits(rows, region.centre.dtype):
        region = region.to(torch.float64)
    result = dual.over(region, rows.form, ask)
    assert result.objective is not None and result.execution is not None
    lower, error = guaranteed(result.objective, rows)
    # A network that returns no numbers is proved nothing of, even where the number it lost meets only zero padding.
    lower = torch.where(flat(outputs).isfinite().all(1, keepdim=True), lower, -torch.inf)
    deployment, run = deployment_of(result.execution, rows, spec, lower)
    if deployed and not deployment.analysed:
        raise InvalidInputError(
            f"{deployment.reason}, so nothing can be said of a run of this network: certify it in real arithmetic alone"
        )
    margin, decisive = spec.margin(lower), lower - run if deployed else lower
    decided = spec.margin(decisive)
    return Proof(
        lower=lower,
        decisive=decisive,
        error=error,
        margin=margin,
        proved=(decided > 0) & decided.isfinite(),
        double=torch.full_like(margin, region.centre.dtype == torch.float64, dtype=torch.bool),
        deployed=run,
        nominal=rows.values(flat(outputs)),
        failure_probability=result.failure_probability,
        deployment=deployment,
        member=torch.zeros_like(margin, dtype=torch.long),
        estimates=result.estimates,
        inflation=result.inflation,
    )
