"""Which samples the next stage of a cascade is trained on: those that no earlier stage certifies."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from autodual.network import DualNetwork
from autodual.perturbations import PerturbationSet
from autodual.policies import InnerBounds, LastBound, SlopePolicy
from autodual.specs import all_positive


@torch.no_grad()
def uncertified(
    stages: Sequence[DualNetwork],
    x: Tensor,
    labels: Tensor,
    ball: PerturbationSet,
    batch_size: int = 100,
    *,
    slopes: SlopePolicy = "shared",
    inner: InnerBounds = "dual",
    last: LastBound = "dual",
) -> Tensor:
    """Which samples of x `[N, *shape]` no stage certifies for their label: bool `[N]`; all of them without stages.

    A sample is kept iff at every stage J_t ≤ 0 for some class t (the thesis' section 3.4.6 prints J > 0 for all). NaN
    and infinity certify nothing. Bounds do not allow for rounding, and are estimates where a stage's plan estimates
    them: this chooses what to train on, and claims nothing.

    ball: one set for all samples. batch_size: samples bounded at a time. slopes, inner, last: as in
    `DualNetwork.margins`. Raises InvalidInputError for labels out of
    range and for sets with something of their own for each sample.
    """
    kept = torch.ones(x.shape[0], dtype=torch.bool, device=x.device)
    if x.shape[0]:
        ball.at(x[:1])  # raises for numbers of several samples, which batches would mistake for their own
    for stage in stages:
        for part in kept.nonzero().squeeze(1).split(batch_size):
            if part.shape[0]:
                margins = stage.margins(x[part], labels[part], ball, slopes=slopes, inner=inner, last=last)
                kept[part] = ~all_positive(margins, labels[part])
    return kept
