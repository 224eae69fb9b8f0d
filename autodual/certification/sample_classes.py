"""The classes that certificates name: the predicted one, the true one, those at positions, those of counterexamples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.certification.positions import Positions, positions_of
from autodual.certification.proof import Proof
from autodual.certification.proof_parts import brought_to_host
from autodual.network import DualNetwork
from autodual.policies import IGNORED
from autodual.specs import LabelSpecification, Specification


@dataclass(frozen=True)
class Classes:
    """The classes that a certificate names; None where the specification is not about classes."""

    predicted: int | None = None
    label: int | None = None
    positions: Positions | None = None
    margins: tuple[float, ...] = ()


def with_classes(
    proof: Proof, wrong: Tensor, spec: Specification, outputs: Tensor, *, labelled: bool
) -> tuple[Proof, Tensor, list[Classes]]:
    """The proof, the misclassified samples `[N]` and the classes of each, brought to the host together."""
    if not isinstance(spec, LabelSpecification):
        proof, (wrong,) = brought_to_host(proof, wrong)
        return proof, wrong, [Classes()] * outputs.shape[0]
    if spec.labels.dim() > 1:
        found = positions_of(spec, proof.lower, proof.decisive, outputs, labelled=labelled)
        proof, (wrong,) = brought_to_host(proof, wrong)
        return proof, wrong, [Classes(positions=one, margins=tuple(one.margins.flatten().tolist())) for one in found]
    others = wrong, spec.labels.to(wrong.device), spec.predicted(outputs)
    proof, (wrong, labels, predicted) = brought_to_host(proof, *others)
    known = [label if labelled and label != IGNORED else None for label in labels.tolist()]
    return proof, wrong, [Classes(*pair) for pair in zip(predicted.tolist(), known, strict=True)]


def reached_classes(dual: DualNetwork, spec: Specification, found: Mapping[int, Tensor]) -> dict[int, int]:
    """The class that the network gives each counterexample, by sample; empty if outputs are not one class a sample."""
    if not found or not isinstance(spec, LabelSpecification) or spec.labels.dim() > 1:
        return {}
    with torch.no_grad():
        classes = spec.predicted(dual.outputs(torch.stack(list(found.values()))))
    return dict(zip(found, classes.tolist(), strict=True))
