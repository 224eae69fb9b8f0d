"""An attack of your own: it tries random points of the set and keeps the worst.

    python own_attack.py

It needs no gradients, so it also works on networks that have none. `certify` runs the network again at each point that
an attack finds, and checks that the point is in the set. So a wrong attack may find nothing, but it cannot make
`certify` say `falsified` wrongly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import autodual
from autodual.extend import Attack, Region, Specification


@dataclass(frozen=True)
class RandomSearch(Attack):
    """The worst of `tries` random points of each sample's set."""

    tries: int = 100
    seed: int = 0

    @torch.no_grad()
    def run(
        self,
        function: Callable[[Tensor], Tensor],
        region: Region,
        specification: Specification,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """For each sample, the point `[N, *shape]` with the lowest margin seen."""
        if generator is None:
            generator = torch.Generator(region.centre.device).manual_seed(self.seed)
        rows = specification.rows(function(region.centre))
        worst = region.project(region.centre)
        least = specification.margin(rows.values(function(worst).flatten(1)))
        for _ in range(self.tries):
            points = region.sample(1, generator)[0]
            margin = specification.margin(rows.values(function(points).flatten(1)))
            worse = margin < least
            least = torch.where(worse, margin, least)
            worst = torch.where(worse.reshape(-1, *[1] * (points.dim() - 1)), points, worst)
        return worst


def main() -> None:
    """Search for counterexamples of an untrained network."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 3)).eval()
    x, ball = torch.rand(50, 4), autodual.LinfBall(0.3)
    dual = autodual.compile_dual(model, x)
    for attack in (None, RandomSearch(), autodual.attacks.Pgd()):
        statuses = [str(certificate.status) for certificate in autodual.certify(dual, x, ball, attack=attack)]
        print(attack, Counter(statuses))


if __name__ == "__main__":
    main()
