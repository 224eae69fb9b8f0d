"""Attacks on samples of a proof: counterexamples where it is open, and a check of the bounds everywhere."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from autodual.attacks import Attack, attack_members, counterexamples
from autodual.certification.contradiction import Told, require_consistent
from autodual.certification.proof_parts import Proof, selected
from autodual.network import DualNetwork
from autodual.perturbations import Support, require_searchable
from autodual.specs import Specification


def attacked_samples(
    dual: DualNetwork,
    region: Support,
    spec: Specification,
    proof: Proof,
    attack: Attack,
    samples: Tensor,
    told: Told,
    *,
    numbers: Tensor | None = None,
) -> dict[int, Tensor]:
    """Counterexamples by sample index, of the samples `[N]`, bool; the network was run again on each.

    numbers `[N]`: what the samples are called in messages, by default by their places.

    Where a certificate holds for certain, a point that only a rounded run puts on the other side is none.

    Raises ContradictionError where a point breaks a proved bound by more than rounding.
    """
    index = samples.nonzero().squeeze(1)
    if index.shape[0] == 0:
        return {}
    some, chosen, here = region.select(index), spec.select(index), selected(proof, index)
    searchable = require_searchable(some)

    graph = dual.compiled(region.centre).plan.graph
    node = graph.ordered_as_output if spec.ordinal else graph.outputs[0]

    def searched(points: Tensor) -> Tensor:
        return dual.outputs(points, surrogates=True, node=node)

    points = attack_members(attack, searched, searchable, chosen)
    with torch.no_grad():
        refuted = counterexamples(dual.outputs, searchable, chosen, points)
    require_consistent(dual, some, chosen, here, points, told, numbers=index if numbers is None else numbers[index])
    refuted = refuted & ~(here.proved & (here.failure_probability == 0))
    return {int(sample): point for sample, point, hit in zip(index, points, refuted) if bool(hit)}


def check_points(
    dual: DualNetwork, region: Support, spec: Specification, proof: Proof, found: Mapping[int, Tensor], told: Told
) -> None:
    """Raise ContradictionError where a point found elsewhere, by sample, breaks a proved bound."""
    if found:
        index = torch.tensor(list(found), device=region.centre.device)
        some, chosen, here = region.select(index), spec.select(index), selected(proof, index)
        require_consistent(dual, some, chosen, here, torch.stack(list(found.values())), told, numbers=index)
