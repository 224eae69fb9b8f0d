"""Signs that there is no one network to attack: outputs that change from run to run, or with the batch."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from autodual.evaluation.masking_evidence import Evidence
from autodual.evaluation.masking_sign import MaskingSign


@torch.no_grad()
def changes_between_runs(evidence: Evidence) -> MaskingSign | None:
    """Dropout, random noise or random resizing at inference."""
    return _sign(
        "random-network",
        evidence.problem.clean,
        evidence.problem.outputs(evidence.region.centre),
        "Two runs at the same samples differ by {difference} times the largest output, so a point may be refuted in "
        "one run only, and gradients are noise; call model.eval(), or attack the mean of many runs.",
    )


@torch.no_grad()
def changes_with_the_batch(evidence: Evidence) -> MaskingSign | None:
    """Batch normalisation in training mode, most often. Says nothing of a network that differs between runs."""
    centre, outputs = evidence.region.centre, evidence.problem.outputs
    if len(centre) < 4 or changes_between_runs(evidence) is not None:
        return None
    return _sign(
        "batch-dependent",
        outputs(centre),
        torch.cat([outputs(half) for half in centre.chunk(2)]),
        "Outputs differ by {difference} times the largest one when half of the samples are run alone, so a point that "
        "is refuted in one batch may not be in another; call model.eval().",
    )


def _sign(name: str, first: Tensor, second: Tensor, text: str) -> MaskingSign | None:
    """A sign if outputs `[N, K]` differ by more than rounding may explain."""
    difference = float((first - second).abs().max() / first.abs().max())
    if not difference > math.sqrt(torch.finfo(first.dtype).eps):
        return None
    return MaskingSign(name, difference, text.format(difference=f"{difference:.2g}"))
