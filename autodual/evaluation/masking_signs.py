"""`masking_signs`: whether the robust accuracy that an attack measures can be trusted."""

from __future__ import annotations

from collections.abc import Callable

import torch

from autodual.attacks import Attack
from autodual.attacks.base import Function
from autodual.attacks.evaluation_mode import unchanged
from autodual.errors import InvalidInputError
from autodual.evaluation.domain_signs import resists_everything
from autodual.evaluation.gradient_signs import saturated_loss, zero_gradients
from autodual.evaluation.masking_evidence import USUAL, Evidence
from autodual.evaluation.masking_sign import MaskingSign
from autodual.evaluation.run_signs import changes_between_runs, changes_with_the_batch
from autodual.evaluation.strength_signs import (
    black_box_stronger,
    not_converged,
    random_stronger,
    single_step_stronger,
)
from autodual.inputs import Labels
from autodual.perturbations import Searchable, require_searchable
from autodual.specs import ClassMargin, Specification

#: Every check, in the order in which signs are reported.
CHECKS: tuple[Callable[[Evidence], MaskingSign | None], ...] = (
    changes_between_runs,
    changes_with_the_batch,
    zero_gradients,
    saturated_loss,
    single_step_stronger,
    random_stronger,
    black_box_stronger,
    resists_everything,
)


def masking_signs(
    function: Function,
    region: Searchable,
    labels: Labels | Specification,
    attack: Attack | None = None,
    *,
    samples: int = 100,
) -> tuple[MaskingSign, ...]:
    """The signs that an attack on a network fails for other reasons than robustness (gradient masking, most often).

    No sign is no proof: a certificate is. Costs some hundred passes over at most `samples` samples.

    Args:
        function: maps `[N, *shape]` to scores `[N, C]`, sample by sample, as for attacks.
        region: the set, placed around N samples. Those that the network gets wrong are left out.
        labels: the true classes `[N]`, or any specification.
        attack: whose figure is in question, and run here on some of the samples; None: APGD of 20 steps stands in
            for it, and whether it has converged is not asked.
        samples: how many are looked at, evenly spread.

    Returns:
        What was found, in words and numbers; empty if there is nothing to report.

    Raises:
        InvalidInputError: `samples` is below 1, or the labels do not fit.

    Example:
        >>> import autodual, torch
        >>> from autodual.evaluation import masking_signs
        >>> x = torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
        >>> def rounded(z):
        ...     return 9 * (8 * z).round()
        >>> region = autodual.LinfBall(0.1, domain=(0, 1)).at(x)
        >>> [sign.name for sign in masking_signs(rounded, region, rounded(x).argmax(1))]
        ['zero-gradients', 'random-stronger', 'black-box-stronger', 'resists-everything']
    """
    if samples < 1:
        raise InvalidInputError(f"signs are read from one sample or more, not from {samples}")
    specification = labels if isinstance(labels, Specification) else ClassMargin(labels)
    with torch.inference_mode(False), unchanged(function):
        evidence = Evidence.of(function, require_searchable(region), specification, attack or USUAL, samples)
        if evidence.region.count == 0:
            return ()
        checks = CHECKS if attack is None else (*CHECKS, not_converged)
        return tuple(sign for check in checks if (sign := check(evidence)) is not None)
