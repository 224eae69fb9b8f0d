"""Test-time detection of possible adversarial inputs (Corollary 2 of the thesis' section on detection)."""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import Unpack

from autodual.certification.goal import chosen_goal
from autodual.certification.proof import prove
from autodual.certification.same_network import require_same_network
from autodual.errors import InvalidInputError
from autodual.inputs import Samples, sample_tensor
from autodual.network import Ask, DualNetwork, given_network
from autodual.network.ask_options import ProofOptions
from autodual.network.keywords import takes
from autodual.perturbations import PerturbationSet, perturbation_set, require_support


@takes(ProofOptions, slopes="adaptive", inner="dual")
def detect(
    dual: DualNetwork,
    x: Samples,
    ball: PerturbationSet,
    *,
    ask: Ask | None = None,
    **options: Unpack[ProofOptions],
) -> Tensor:
    """Flag the samples that may be adversarial: those whose ball may contain an input of another class.

    No false negatives: if x was made from some x₀ with ‖x - x₀‖ inside the ball's radius (both in the domain, if there
    is one) and the network gives the two different classes, x is flagged, since a ball is symmetric and x₀ lies in the
    ball around x. Of label maps, x is flagged where the class at any position may be another. False positives occur.

    Args:
        dual: the dual network of a classifier.
        x: samples `[N, *shape]`.
        ball: the set that an adversary may choose from.

    Returns:
        bool `[N]`.

    Raises:
        InvalidInputError: the set is not a ball around each sample, but for example a box.
        ModelChangedError: the model, run at x, is no longer the one compiled.

    Example:
        >>> import autodual, torch
        >>> dual = autodual.compile_dual(torch.nn.Identity())  # scores are the inputs themselves
        >>> autodual.detect(dual, torch.tensor([[1.0, 0.0], [1.0, 0.9]]), autodual.LinfBall(0.1))
        tensor([False,  True])
    """
    ask = Ask.of(ask, options, detect)
    dual, x = given_network(dual), sample_tensor(x)
    if not perturbation_set(ball).neighbourhood:
        raise InvalidInputError(f"detection needs a ball around each sample, not a fixed box: {ball.describe()}")
    region = require_support(ball.at(x))
    require_same_network(dual, x)
    with torch.no_grad():
        goal = chosen_goal(dual, dual.outputs(x), None, None)
    return ~prove(dual, region, goal, ask).proved
