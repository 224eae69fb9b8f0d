"""Signs in the gradients that attacks follow: there are none, or the loss has lost them to rounding."""

from __future__ import annotations

import torch

from autodual.attacks import CrossEntropy, Margin
from autodual.evaluation.masking_evidence import Evidence
from autodual.evaluation.masking_sign import MaskingSign, sign_of_share
from autodual.specs import LabelSpecification

# Many sound networks are this sure of some samples.
_SURE = 0.2


def zero_gradients(evidence: Evidence) -> MaskingSign | None:
    """Nothing to follow: rounding, thermometers, saturated units."""
    return sign_of_share(
        "zero-gradients",
        (evidence.gradient(Margin()) == 0).all(1),
        "The gradient is zero or not a number at {share} of the samples, so attacks that follow it stand still there; "
        "give layers that round, quantise or saturate a smooth stand-in for the backward pass, and trust no gradient "
        "attack before.",
    )


def saturated_loss(evidence: Evidence) -> MaskingSign | None:
    """The label's probability rounds to 1: cross-entropy no longer sees the label's score, while the margin does."""
    if not isinstance(evidence.specification, LabelSpecification):
        return None
    outputs = evidence.problem.clean.detach().requires_grad_()
    with torch.enable_grad():
        loss = CrossEntropy().loss(evidence.problem, outputs).sum()
    # Only the derivatives by labels' scores, p − 1, are negative.
    by_score = torch.autograd.grad(loss, outputs)[0]
    follows = (evidence.gradient(Margin()) != 0).any(1)
    precision = str(outputs.dtype).removeprefix("torch.")
    return sign_of_share(
        "saturated-loss",
        (by_score >= 0).all(1) & follows,
        f"Cross-entropy is saturated at {{share}} of the samples: the label's probability rounds to 1 in {precision}, "
        "and its gradient is lost though the scores' is not; attack with objective 'dlr' or 'margin', or use the "
        "standard attack.",
        _SURE,
    )
