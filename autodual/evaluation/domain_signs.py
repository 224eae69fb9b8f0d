"""The sign that a gradient attack fails where it cannot fail: over the whole domain."""

from __future__ import annotations

import torch
from torch import Tensor

from autodual.evaluation.masking_evidence import USUAL, Evidence
from autodual.evaluation.masking_sign import MaskingSign, sign_of_share
from autodual.perturbations import Box, Searchable
from autodual.perturbations.parameters import Domain

# Other samples that are tried as counterexamples of each.
_OTHERS = 20


def resists_everything(evidence: Evidence) -> MaskingSign | None:
    """The error over the whole domain is below 100 %, though other samples of the data refute each sample counted."""
    whole = _whole_domain(evidence)
    reachable = _refuted_by_another(evidence, whole)
    if not reachable.any():
        return None
    return sign_of_share(
        "resists-everything",
        ~evidence.refuted(USUAL, whole)[reachable],
        "With the whole domain to move in, a gradient attack still fails at {share} of the samples, though the data "
        "hold points of another class; whatever the radius, its figure is not robustness, so look for what masks "
        "gradients.",
    )


def _whole_domain(evidence: Evidence) -> Searchable:
    """The box of all inputs: the set's domain, or as far as the samples reach."""
    centre = evidence.region.centre
    lower, upper = _domain(evidence) or (centre.amin(), centre.amax())
    return Box(lower, upper).at(centre)


def _domain(evidence: Evidence) -> Domain:
    domains = (getattr(member, "domain", None) for member in evidence.region.source.members())
    return next((domain for domain in domains if domain is not None), None)


@torch.no_grad()
def _refuted_by_another(evidence: Evidence, whole: Searchable) -> Tensor:
    """Which samples another one would refute, were it a perturbation of theirs, bool `[N]`."""
    problem, centre = evidence.problem, evidence.region.centre
    found = torch.zeros(len(centre), dtype=torch.bool, device=centre.device)
    for shift in range(1, min(len(centre), _OTHERS)):
        found |= (problem.margin(problem.clean.roll(shift, 0)) < 0) & whole.contains(centre.roll(shift, 0))
    return found
