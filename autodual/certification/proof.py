"""Which samples are proved: bounds beyond their own rounding error, in float64 where float32 cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from autodual.bounds.rounding import error_factor
from autodual.interval import Interval
from autodual.network import DualNetwork
from autodual.perturbations import Region
from autodual.policies import InnerBounds, SlopePolicy
from autodual.specs import Specification
from autodual.tensors import bounding_dtype

# A bound this many rounding errors below zero is not worth another try in float64: intermediate bounds were widened by
# their own errors too, which moves the last bound by several of its own.
_HOPE = 32.0


@dataclass(frozen=True, eq=False)
class Proof:
    """Guaranteed lower bounds `[N, S]` of a specification's half-spaces, and whether it is proved, bool `[N]`.

    error `[N, S]` is the rounding error that `lower` already allows for; double `[N]`: whether float64 decided.
    failure_probability `[N]`: of the proof, above 0 where norms were estimated from random projections; estimates and
    inflation: how many, and by what each was raised for that.
    """

    lower: Tensor
    error: Tensor
    margin: Tensor
    proved: Tensor
    double: Tensor
    failure_probability: Tensor
    estimates: int = 0
    inflation: float = 1.0


def prove(
    dual: DualNetwork,
    region: Region,
    spec: Specification,
    slopes: SlopePolicy,
    known: Mapping[str, Interval] | None = None,
    inner: InnerBounds = "dual",
    estimates: bool = False,
) -> Proof:
    """Bound a specification over a region in its dtype (float32 for half precision), and in float64 what that leaves
    open by rounding alone.

    All tensors of the proof are float64. NaN and infinity prove nothing. estimates: let the plan's projections take
    part, if they hold with a probability; all is float64 then, for random numbers of any size leave float32 no digits.
    """
    estimates = estimates and _certifies(dual, region)
    region = region.to(torch.float64 if estimates else bounding_dtype(region.centre.dtype))

    def bound(region: Region, spec: Specification, known: Mapping[str, Interval], slopes: SlopePolicy) -> Proof:
        return _bound(dual, region, spec, slopes, known, inner, estimates)

    def double(region: Region, *rest: Any, **options: Any) -> Proof:
        return bound(region.to(torch.float64), *rest, **options)

    with torch.no_grad():
        known = known or {}
        first = bound(region, spec, known, "adaptive" if slopes == "optimized" else slopes)
        if slopes == "optimized":
            # A search takes long, so that it is left to what has been proved by nothing cheaper and is true at all.
            index = (~first.proved & (_nominal(dual, region, spec) > 0)).nonzero().squeeze(1)
            first = _again(first, index, region, spec, known, partial(bound, slopes=slopes))
        if region.centre.dtype == torch.float64:
            return first
        hopeful = ~first.proved & ~(spec.margin(first.lower + _HOPE * first.error) <= 0)
        index = hopeful.nonzero().squeeze(1)
        return _again(first, index, region, spec, known, partial(double, slopes=slopes))


def _nominal(dual: DualNetwork, region: Region, spec: Specification) -> Tensor:
    """Margins `[N]` of the samples themselves."""
    outputs = dual.outputs(region.centre.double()).flatten(1)
    return spec.margin(spec.rows(outputs).values(outputs))


def _again(
    first: Proof,
    index: Tensor,
    region: Region,
    spec: Specification,
    known: Mapping[str, Interval],
    bound: Callable[[Region, Specification, Mapping[str, Interval]], Proof],
) -> Proof:
    """The proof with some of the samples bounded once more."""
    if index.shape[0] == 0:
        return first
    chosen = {
        name: interval.map(lambda end: end if end.shape[0] == 1 else end[index]) for name, interval in known.items()
    }
    return _replaced(first, index, bound(region.select(index), spec.select(index), chosen))


def _certifies(dual: DualNetwork, region: Region) -> bool:
    projection = dual.compiled(region.centre).plan.options.projection
    return projection is not None and projection.certifies


def _bound(
    dual: DualNetwork,
    region: Region,
    spec: Specification,
    slopes: SlopePolicy,
    known: Mapping[str, Interval] | None,
    inner: InnerBounds,
    estimates: bool = False,
) -> Proof:
    x = region.centre
    # Offsets may depend on the nominal outputs; in float64 their own error is far below that of the bounds.
    outputs = dual.outputs(x.double()).flatten(1)
    rows = spec.rows(outputs)
    options = {"slopes": slopes, "inner": inner, "known": known}
    result = dual(x, region.source, rows.objective, **options, rigorous=True, exact=not estimates)
    found = result.objective
    assert found is not None and found.error is not None
    # A row of zeros, such as a class against itself, is 0 whatever rounding may cost other rows.
    idle = (rows.objective == 0).all(-1)
    bound, error = (part.double().masked_fill(idle, 0.0) for part in (found.lower, found.error))
    error = error + error_factor(rows.objective.shape[-1], torch.float64) * rows.offset.abs()
    lower = bound - rows.offset - error_factor(1, torch.float64) * rows.offset.abs()
    # A network that returns no numbers is proved nothing of, even where the number it lost meets only zero padding.
    lower = torch.where(outputs.isfinite().all(1, keepdim=True), lower, -torch.inf)
    margin = spec.margin(lower)
    double = torch.full_like(margin, x.dtype == torch.float64, dtype=torch.bool)
    proved = (margin > 0) & margin.isfinite()
    failure = result.failure_probability
    return Proof(lower, error, margin, proved, double, failure, result.estimates, result.inflation)


def _replaced(first: Proof, index: Tensor, second: Proof) -> Proof:
    def merged(old: Tensor, new: Tensor) -> Tensor:
        return old.index_copy(0, index, new)

    return Proof(
        merged(first.lower, second.lower),
        merged(first.error, second.error),
        merged(first.margin, second.margin),
        merged(first.proved, second.proved),
        merged(first.double, second.double),
        first.failure_probability,
    )
