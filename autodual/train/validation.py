"""How good a network is on samples: clean, attacked and certified error."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.attacks import broken
from autodual.network import Ask, DualNetwork
from autodual.perturbations import PerturbationSet
from autodual.specs import all_positive
from autodual.train.clean_pass import in_mode
from autodual.train.losses import Judgement
from autodual.train.recipe import ValidationSection
from autodual.world import World


@dataclass(frozen=True)
class Errors:
    """Fractions of the samples; NaN where there are no samples, no attack is run, or nothing is bounded."""

    clean: float = math.nan
    attacked: float = math.nan
    certified: float = math.nan

    def of(self, judgement: Judgement) -> float:
        """The error that a judgement is about."""
        return {"certified": self.certified, "robust": self.attacked, "clean": self.clean}[judgement]

    def ranked(self, judgement: Judgement) -> list[float]:
        """All three, that of the judgement first: lower lists are better. Errors that are not known count as 1."""
        rest: list[Judgement] = ["certified", "robust", "clean"]
        rest.remove(judgement)
        errors = [self.of(one) for one in (judgement, *rest)]
        return [1.0 if math.isnan(error) else error for error in errors]


# Adaptive slopes, since interval arithmetic over the ops then tightens dual bounds, too.
BOUNDS = {
    "interval": Ask(slopes="adaptive", inner="interval", last="interval"),
    "mixed": Ask(slopes="adaptive", inner="interval", last="dual"),
    "dual": Ask(slopes="adaptive", inner="dual", last="dual"),
}


@torch.no_grad()
def validate(
    dual: DualNetwork,
    x: Tensor,
    y: Tensor,
    ball: PerturbationSet,
    section: ValidationSection,
    world: World,
    *,
    bounded: bool = True,
) -> Errors:
    """Errors on samples x `[N, *shape]` with labels `[N]`, of the network in inference mode.

    bounded: whether to compute bounds, too. Unlike certificates, they do not allow for rounding: these errors guide
    training and prove nothing.
    """
    chosen = world.share(torch.arange(len(x)))
    limit = len(x) if section.samples == 0 else section.samples
    wrong = attacked = uncertified = examined = 0.0
    for part in chosen.split(section.batch_size):
        with in_mode(dual.model.modules(), False):
            wrong += float((dual.run(x[part]).argmax(1) != y[part]).sum())
            part = part[part < limit]
            if section.attack is not None and len(part):
                attacked += float(broken(dual.run, ball.at(x[part]), y[part], section.attack).sum())
        examined += len(part)
        if bounded and len(part):
            margins = dual.margins(x[part], y[part], ball, ask=BOUNDS[section.bounds], exact=True)
            uncertified += float((~all_positive(margins, y[part])).sum())
    wrong, attacked, uncertified, examined = world.total([wrong, attacked, uncertified, examined])
    if not examined:
        return Errors()
    return Errors(
        wrong / len(x),
        math.nan if section.attack is None else attacked / examined,
        uncertified / examined if bounded else math.nan,
    )
