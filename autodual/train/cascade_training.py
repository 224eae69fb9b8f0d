"""The samples that the next stage of a cascade is trained on: those that no earlier stage certifies."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import Unpack

from autodual.inputs import Labels, Samples, sample_tensor
from autodual.network import Ask, DualNetwork
from autodual.network.ask_options import PolicyOptions
from autodual.network.keywords import takes
from autodual.perturbations import PerturbationSet, perturbation_set
from autodual.specs import LabelMap, all_positive


@torch.no_grad()
@takes(PolicyOptions, slopes="shared", inner="dual", last="dual")
def uncertified(
    stages: Sequence[DualNetwork],
    x: Samples,
    labels: Labels,
    ball: PerturbationSet,
    batch_size: int = 100,
    *,
    ask: Ask | None = None,
    **options: Unpack[PolicyOptions],
) -> Tensor:
    """Which samples no stage certifies for their label; all of them without stages.

    A sample is kept iff at every stage J_t ≤ 0 for some class t (the thesis' section 3.4.6 prints J > 0 for all). NaN
    and infinity certify nothing. Bounds do not allow for rounding, and are estimates where a stage's plan estimates
    them: this chooses what to train on, and proves nothing.

    Args:
        stages: dual networks, in order.
        x: samples `[N, *shape]`.
        labels: their classes `[N]`.
        ball: one set for all samples.
        batch_size: samples bounded at a time.

    Returns:
        bool `[N]`.

    Raises:
        InvalidInputError: for labels out of range, and sets with something of their own for each sample.

    Example:
        >>> import autodual, torch
        >>> from autodual.train import uncertified
        >>> stage = autodual.compile_dual(torch.nn.Identity())
        >>> x, labels = torch.tensor([[1.0, 0.0], [1.0, 0.9]]), torch.tensor([0, 0])
        >>> uncertified([stage], x, labels, autodual.LinfBall(0.1))
        tensor([False,  True])
    """
    ask, x = Ask.of(ask, options, uncertified), sample_tensor(x)
    labels = LabelMap.of(labels).labels.to(x.device)
    kept = torch.ones(x.shape[0], dtype=torch.bool, device=x.device)
    perturbation_set(ball).at(x[:1])  # raises for numbers of several samples, which batches would mistake for their own
    for stage in stages:
        stage.label_rows(x, labels)  # raises for labels that do not fit
        for part in kept.nonzero().squeeze(1).split(batch_size):
            if part.shape[0]:
                margins = stage.margins(x[part], labels[part], ball, ask=ask)
                kept[part] = ~all_positive(margins, labels[part], stage.class_axis)
    return kept
