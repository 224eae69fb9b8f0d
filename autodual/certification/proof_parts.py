"""A proof as data, and one proof made of several: of some samples again, or of all members of a union."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from autodual.certification.guaranteed_halfspaces import Deployment
from autodual.tensors import on_host


@dataclass(frozen=True, eq=False)
class Proof:
    """Guaranteed lower bounds `[N, S]` of a specification's half-spaces, and whether it is proved, bool `[N]`.

    decisive `[N, S]`: `lower`, or with `deployed` what of it is left in a run of the network; where the specification
    follows from its being positive, it is proved. error `[N, S]` is the rounding error that `lower` already allows for.
    double `[N]`: whether float64 decided. deployed `[N, S]`: how far a run of the network may be from the half-spaces'
    values, infinite if nothing is known; deployment: of what run, and why. nominal `[N, S]`: the half-spaces' values at
    the samples. failure_probability `[N]`: of the proof, above 0 where norms were estimated from random projections;
    estimates and inflation: how many, and by what each was raised for that. member `[N]`: of a set that is a union,
    which member decided.
    """

    lower: Tensor
    decisive: Tensor
    error: Tensor
    margin: Tensor
    proved: Tensor
    double: Tensor
    deployed: Tensor
    nominal: Tensor
    failure_probability: Tensor
    deployment: Deployment
    member: Tensor
    estimates: int = 0
    inflation: float = 1.0


def replaced(first: Proof, index: Tensor, second: Proof) -> Proof:
    """The proof of all samples with that of some in their places, but for how likely it is to fail."""
    merged: dict[str, Any] = {}
    for field in fields(Proof):
        old, new = getattr(first, field.name), getattr(second, field.name)
        if isinstance(old, Tensor) and field.name != "failure_probability":
            merged[field.name] = old.index_copy(0, index, new)
    return replace(first, **merged)


def selected(proof: Proof, index: Tensor) -> Proof:
    """The proof of some of the samples."""
    parts: dict[str, Any] = {field.name: getattr(proof, field.name) for field in fields(Proof)}
    some: dict[str, Any] = {name: part[index] for name, part in parts.items() if isinstance(part, Tensor)}
    return replace(proof, **some)


def brought_to_host(proof: Proof, *others: Tensor) -> tuple[Proof, list[Tensor]]:
    """The proof and other tensors beside it on the CPU, where reading a number does not wait for a GPU."""
    parts: dict[str, Any] = {field.name: getattr(proof, field.name) for field in fields(Proof)}
    names = [name for name, part in parts.items() if isinstance(part, Tensor)]
    moved = on_host([*(parts[name] for name in names), *others])
    here: dict[str, Any] = dict(zip(names, moved))
    return replace(proof, **here), moved[len(names) :]


def over_all(proofs: Sequence[Proof]) -> Proof:
    """The proof over a union of sets, from one over each of them, in their order.

    A half-space's bound is the least of the members', its errors the largest. The margin is that of the member that
    decides: the one of the least margin, among those that are not proved where there are any. It is not made of the
    least bounds, which for a specification with alternatives would give less: another one may hold over each member.
    """
    unproved, margins = ~_all(proofs, "proved"), _all(proofs, "margin")
    candidates = unproved | ~unproved.any(0)
    # NaN proves nothing, so it decides.
    member = _first_least(margins.nan_to_num(-torch.inf, torch.inf, -torch.inf), candidates)
    samples = torch.arange(member.shape[0], device=member.device)
    return Proof(
        lower=_all(proofs, "lower").amin(0),
        decisive=_all(proofs, "decisive").amin(0),
        error=_all(proofs, "error").amax(0),
        margin=margins[member, samples],
        proved=~unproved.any(0),
        double=_all(proofs, "double")[member, samples],
        deployed=_all(proofs, "deployed").amax(0),
        nominal=proofs[0].nominal,
        failure_probability=_all(proofs, "failure_probability").sum(0).clamp(max=1),
        deployment=max((proof.deployment for proof in proofs), key=lambda one: (not one.analysed, bool(one.reason))),
        member=member,
        estimates=max(proof.estimates for proof in proofs),
        inflation=max(proof.inflation for proof in proofs),
    )


def _first_least(values: Tensor, candidates: Tensor) -> Tensor:
    """By sample the first of the candidates bool `[M, N]` whose value `[M, N]` is the least of theirs."""
    least = torch.where(candidates, values, torch.inf).amin(0)
    return (candidates & (values == least)).int().argmax(0)


def _all(proofs: Sequence[Proof], name: str) -> Tensor:
    """One field of all members' proofs, `[M, *]`."""
    return torch.stack([getattr(proof, name) for proof in proofs])
