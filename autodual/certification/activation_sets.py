"""How many units of each layer are active, inactive or undecided over a set."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from typing_extensions import Unpack

from autodual.inputs import Samples, sample_tensor
from autodual.network import Ask, DualNetwork, given_network
from autodual.network.ask_options import ProofOptions
from autodual.network.keywords import takes
from autodual.perturbations import PerturbationSet
from autodual.tensors import flat


@torch.no_grad()
@takes(ProofOptions, slopes="adaptive")
def activation_sets(
    dual: DualNetwork,
    x: Samples,
    ball: PerturbationSet,
    *,
    ask: Ask | None = None,
    **options: Unpack[ProofOptions],
) -> Mapping[str, Tensor]:
    """For each bound site, the fractions of its units that are inactive, active and undecided over the set, `[N, 3]`.

    A unit is inactive if u ≤ 0 and active if ℓ ≥ 0: the sets I⁻, I⁺ and I of the thesis, for rectified linear units
    (Figure 3.11). The three fractions add up to 1.

    Args:
        dual: the dual network.
        x: samples `[N, *shape]`.
        ball: the set around each.
    """
    ask = Ask.of(ask, options, activation_sets)
    dual, x = given_network(dual), sample_tensor(x)
    found = {}
    for name, interval in dual(x, ball, ask=ask, exact=True).intervals.items():
        inactive = flat(interval.upper <= 0)
        active = flat(interval.lower >= 0) & ~inactive
        parts = [inactive, active, ~(inactive | active)]
        found[name] = torch.stack([part.to(x.dtype).mean(1) for part in parts], 1)
    return found
