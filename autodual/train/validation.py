"""How good a network is on held-out samples: clean, attacked and certified error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.attacks import Pgd, broken
from autodual.network import Ask, DualNetwork
from autodual.perturbations import PerturbationSet
from autodual.specs import all_positive
from autodual.train.recipe.sections import ValidationSection
from autodual.world import World


@dataclass(frozen=True)
class Errors:
    """Fractions of the samples; NaN where there are no samples, or no attack is run."""

    clean: float
    attacked: float
    certified: float


# Adaptive slopes, since interval arithmetic over the ops then tightens dual bounds, too.
BOUNDS = {
    "interval": Ask(slopes="adaptive", inner="interval", last="interval"),
    "mixed": Ask(slopes="adaptive", inner="interval", last="dual"),
    "dual": Ask(slopes="adaptive", inner="dual", last="dual"),
}


@torch.no_grad()
def validate(
    dual: DualNetwork, x: Tensor, y: Tensor, ball: PerturbationSet, section: ValidationSection, world: World
) -> Errors:
    """Errors on samples x `[N, *shape]` with labels `[N]`, of the network in inference mode.

    Unlike certificates, bounds do not allow for rounding: these errors guide training and prove nothing.
    """
    chosen = world.share(torch.arange(len(x)))
    limit = len(x) if section.samples == 0 else section.samples
    ask, attack = BOUNDS[section.bounds], Pgd(section.attack_steps) if section.attack_steps else None
    wrong = attacked = uncertified = bounded = 0.0
    for part in chosen.split(section.batch_size):
        wrong += float((dual.outputs(x[part]).argmax(1) != y[part]).sum())
        part = part[part < limit]
        if len(part):
            bounded += len(part)
            margins = dual.margins(x[part], y[part], ball, ask=ask, exact=True)
            uncertified += float((~all_positive(margins, y[part])).sum())
            attacked += float(broken(dual.outputs, ball.at(x[part]), y[part], attack).sum())
    wrong, attacked, uncertified, bounded = world.total([wrong, attacked, uncertified, bounded])
    if not bounded:
        return Errors(math.nan, math.nan, math.nan)
    return Errors(wrong / len(x), attacked / bounded if attack else math.nan, uncertified / bounded)
