"""A point that breaks a proved bound: a bug by definition, so that the work stops and the evidence is kept.

Bounds are of the network in real arithmetic over the set as it is written down. So a point is first moved to the
nearest one of that set, which is placed in float64, and counts only if the network, run there in float64, falls below
the bound by more than rounding explains: what the bound already allows for, what a run in float64 may be off by, and a
billionth of the terms. A tie within rounding is no contradiction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from autodual.certification.proof_parts import Proof
from autodual.errors import ContradictionError
from autodual.network import DualNetwork
from autodual.perturbations import Searchable, Support
from autodual.specs import Specification
from autodual.tensors import flat

#: What rounding may explain in float64, of the terms of a half-space's value.
ROUNDING_SHARE = 1e-9


@dataclass(frozen=True)
class Told:
    """What else a message says of bounds: how they were computed, what they assume, whether they hold of a run."""

    method: str
    assumptions: tuple[str, ...] = ()
    deployed: bool = False


@torch.no_grad()
def require_consistent(
    dual: DualNetwork,
    region: Support,
    spec: Specification,
    proof: Proof,
    points: Tensor,
    told: Told,
    *,
    numbers: Tensor | None = None,
) -> None:
    """Raise ContradictionError where one point `[N, *shape]` for each sample breaks one of its proved half-spaces.

    Points outside the set, and bounds that hold only with a probability, contradict nothing. numbers `[N]`: what the
    samples are called in the message, by default by their places.
    """
    exact = region.to(torch.float64)
    if not isinstance(exact, Searchable):
        return
    # A set of float32 numbers may reach beyond the real one by rounding.
    points, narrow = exact.project(points.double()), points.dtype
    rows = spec.rows(dual.outputs(exact.centre))
    certain = exact.contains(points) & (proof.failure_probability == 0)
    outputs = flat(dual.outputs(points))
    room = proof.error + ROUNDING_SHARE * (rows.form.spread(outputs.abs()) + rows.offset.abs())
    claims = [_Claim("in real arithmetic", proof.lower - _of_double(proof), outputs)]
    if told.deployed:
        claims.append(_Claim("of a run", proof.decisive, flat(dual.outputs(points.to(narrow))).double()))
    for claim in claims:
        values = rows.values(claim.outputs).expand_as(proof.lower)
        below = torch.where(certain.unsqueeze(1) & claim.bound.isfinite(), claim.bound - room - values, -torch.inf)
        if not bool((below > 0).any()):
            continue
        sample = int(below.amax(1).argmax())
        certified = bool(proof.proved[sample]) and float(spec.margin(values)[sample]) < 0
        evidence = _evidence(region, proof, values, room, claim, sample, int(below[sample].argmax()))
        evidence |= {
            "sample": sample if numbers is None else int(numbers[sample]),
            "certified": certified,
            "point": points[sample].tolist(),
            "specification": spec.describe(),
            "method": told.method,
            "assumptions": list(told.assumptions),
            "network": network_record(dual, region.centre),
        }
        raise ContradictionError(contradiction_words(evidence), evidence)


def contradiction_words(evidence: Mapping[str, Any]) -> str:
    """The message of a contradiction."""
    if "label_at_point" in evidence:  # of a cascade
        return (
            f"sample {evidence['sample']} gets the label {evidence['label']} from the cascade, and a point of the set "
            f"around it the label {evidence['label_at_point']}: one of the two is wrong, which is a bug: report it "
            "with its evidence"
        )
    what = "is certified and has a counterexample" if evidence["certified"] else "has a point below a proved bound"
    value, bound = (f"{evidence[key]:.9g}" for key in ("value", "bound"))
    return (
        f"sample {evidence['sample']} {what}: half-space {evidence['half_space']} is {value} there, and proved to be "
        f"at least {bound} on the whole set; one of the two is wrong, which is a bug: report it with its evidence"
    )


@dataclass(frozen=True, eq=False)
class _Claim:
    """Bounds `[N, S]` of half-spaces, of what they are, and the outputs `[N, K]` that they speak of."""

    words: str
    bound: Tensor
    outputs: Tensor


def _evidence(
    region: Support, proof: Proof, values: Tensor, room: Tensor, claim: _Claim, sample: int, row: int
) -> dict[str, Any]:
    """What is known of one half-space of a sample, as plain values."""
    return {
        "half_space": row,
        "value": float(values[sample, row]),
        "bound": float(claim.bound[sample, row]),
        "bound_is": claim.words,
        "allowed_for_rounding": float(room[sample, row]),
        "original": region.centre[sample].tolist(),
        "outputs_at_point": claim.outputs[sample].tolist(),
        "perturbation": region.source.describe(),
        "arithmetic": "float64" if bool(proof.double[sample]) else "float32",
    }


def network_record(dual: DualNetwork, x: Tensor) -> dict[str, Any]:
    """What identifies a network: its ops and a SHA-256 of the values of its tensors."""
    compiled, digest = dual.compiled(x), hashlib.sha256()
    for name, tensor in sorted(dual.tensors(compiled).items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return {"ops": [node.op.kind for node in compiled.graph], "tensors_sha256": digest.hexdigest()}


def _of_double(proof: Proof) -> Tensor:
    """How far a run in float64 may be off, from how far the network's own run is; 0 where nothing is known."""
    unit = torch.finfo(torch.float64).eps / torch.finfo(proof.deployment.dtype).eps
    return (proof.deployed * unit).nan_to_num(0.0, 0.0, 0.0)
