"""Signs in who beats whom: attacks that ought to be weaker refute samples that the attack in question does not."""

from __future__ import annotations

from autodual.evaluation.masking_evidence import Evidence
from autodual.evaluation.masking_sign import MaskingSign, sign_of_share

# More steps always find a few samples more.
_MUCH = 0.05


def single_step_stronger(evidence: Evidence) -> MaskingSign | None:
    """One step finds what many do not: the network is bent around its samples, as after catastrophic overfitting."""
    return sign_of_share(
        "single-step-stronger",
        evidence.by_one_step & ~evidence.by_the_attack,
        "A single gradient step refutes {share} of the samples that many steps do not, so the steps lose their way; "
        "try a smaller step size, other objectives and random starts, or the standard attack.",
    )


def random_stronger(evidence: Evidence) -> MaskingSign | None:
    """Points drawn blindly find what gradient steps do not."""
    return sign_of_share(
        "random-stronger",
        evidence.by_chance & ~evidence.by_the_attack,
        "Random points of the set refute {share} of the samples that gradient steps do not, so following the gradient "
        "is worse than nothing; look for what masks it, and report the standard attack.",
    )


def black_box_stronger(evidence: Evidence) -> MaskingSign | None:
    """A search without gradients finds what the gradient does not lead to."""
    return sign_of_share(
        "black-box-stronger",
        evidence.without_gradients & ~evidence.by_the_attack,
        "A search that sees outputs only refutes {share} of the samples that the gradient attack does not, so "
        "gradients mislead it; look for what masks them, and report the standard attack with many queries.",
    )


def not_converged(evidence: Evidence) -> MaskingSign | None:
    """The figure rises with the effort."""
    return sign_of_share(
        "not-converged",
        evidence.by_more_effort & ~evidence.by_the_attack,
        "Twice the steps, or APGD, refute another {share} of the samples, so the attack stops before it is done; give "
        "it more steps and restarts, or use the standard attack.",
        _MUCH,
    )
