"""A loss of your own: the usual cross-entropy, and a hinge on the certified margins.

    python own_loss.py

trains a small network on two moons with it, and prints how many samples are certified before and after. Once this file
is imported, recipes know the loss too: `loss = { kind = "certified-hinge", margin = 0.5 }`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import autodual
from autodual.extend import Batch, Loss, named_loss


@named_loss("certified-hinge")
@dataclass(frozen=True)
class CertifiedHinge(Loss):
    """cross-entropy + weight · max(0, margin − the smallest certified margin)."""

    weight: float = 1.0
    margin: float = 0.5

    def of(self, batch: Batch) -> Tensor:
        """One loss per sample, `[N]`."""
        clean = nn.functional.cross_entropy(batch.clean.scores, batch.labels, reduction="none")
        margins = batch.margins(inner="interval")  # [N, classes]; that of the label to itself is 0
        others = margins.scatter(1, batch.labels.unsqueeze(1), math.inf).amin(1)
        return clean + self.weight * (self.margin - others).relu()


def moons(count: int) -> tuple[Tensor, Tensor]:
    """Points of two interleaved half circles, `[count, 2]`, and their classes."""
    angle, labels = math.pi * torch.rand(count), torch.arange(count) % 2
    sign = 1.0 - 2.0 * labels
    points = torch.stack([sign * angle.cos() + labels, sign * angle.sin() + 0.5 * labels], 1)
    return points + 0.05 * torch.randn(count, 2), labels


def main() -> None:
    """Train for a few steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
    x, labels = moons(100)
    dual, ball, loss = autodual.compile_dual(model, x), autodual.LinfBall(0.1), CertifiedHinge()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for step in range(61):
        if step % 60 == 0:
            certified = sum(certificate.certified for certificate in autodual.certify(dual, x, ball, labels))
            print(f"after {step} steps: {certified} of {len(x)} samples certified")
        optimiser.zero_grad()
        loss(dual, x, labels, ball).backward()
        optimiser.step()


if __name__ == "__main__":
    main()
