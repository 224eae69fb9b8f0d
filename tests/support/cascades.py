"""Small cascades for tests of their guarantee, and the labels that the published code would give."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import autodual
from autodual import Cascade, CascadeCertificate


def compiled(*models: nn.Module) -> Cascade:
    return Cascade([autodual.compile_dual(model) for model in models])


def line(weight: float, bias: float, dtype: torch.dtype = torch.float64) -> nn.Linear:
    """Class 0 where weight · z + bias > 0, else class 1."""
    layer = nn.Linear(1, 2, dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[weight], [0.0]]))
        layer.bias.copy_(torch.tensor([bias, 0.0]))
    return layer


def plane(seed: int) -> nn.Sequential:
    """A random classifier of points in the plane, with three classes."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3)).double()
    with torch.no_grad():
        model[0].weight *= 2
        model[4].bias -= model(torch.randn(500, 2, dtype=torch.float64)).mean(0)
        model[4].bias[seed % 3] += 0.15  # one class wins on a larger region than the others
    return model


def without_check(cascade: Cascade, x: Tensor, ball: autodual.PerturbationSet) -> list[int | None]:
    """Labels by the published rule: the first stage that certifies its own class decides."""
    found: list[int | None] = [None] * len(x)
    for stage in reversed(cascade.stages):
        for sample, certificate in enumerate(autodual.certify(stage, x, ball)):
            found[sample] = certificate.predicted if certificate.certified else found[sample]
    return found


def labels_of(found: list[CascadeCertificate]) -> list[int | None]:
    return [one.predicted for one in found]


def count_conflicts(first: list[int | None], second: list[int | None]) -> int:
    """How many pairs have two different labels."""
    return sum(a is not None and b is not None and a != b for a, b in zip(first, second, strict=True))
