"""Random small networks of mixed piecewise-linear ops over random sets: bounds and certificates hold, and are tight."""

from __future__ import annotations

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import autodual

LIMITS = ((0.0, 6.0), (-0.5, 0.3), (0.2, 0.2), (0.3, -0.3), (-math.inf, 0.4), (-0.2, math.inf), (-math.inf, math.inf))
OPS = {
    "relu": torch.relu,
    "abs": torch.abs,
    "folded": lambda z: nn.functional.leaky_relu(z, -0.5),
    "shrink": lambda z: nn.functional.softshrink(z, 0.25),
    "larger": lambda z: torch.maximum(z, z.flip(1)),
    "smaller": lambda z: torch.minimum(z, z.flip(1)),
    "pool": lambda z: nn.functional.max_pool1d(z, 2, stride=1).repeat(1, 2)[:, : z.shape[1]],
    **{f"clamp {low} {high}": lambda z, low=low, high=high: z.clamp(low, high) for low, high in LIMITS},
}
SETS = (
    autodual.LinfBall(0.4),
    autodual.LinfBall(3.0, domain=(0, 1)),
    autodual.LinfBall(0.0),
    autodual.L1Ball(0.7),
    autodual.L1Ball(0.7, domain=(0, 1)),
    autodual.Box([-1.0, 0.5], [0.5, 0.5]),
    autodual.Union(autodual.LinfBall(0.2), autodual.L1Ball(0.5)),
)


class Mixed(nn.Module):
    """Two ops, the second of which reads both the first layer and what it adds to it; weights may tie and vanish."""

    def __init__(self, first: str, second: str, whole: bool) -> None:
        super().__init__()
        self.ops = OPS[first], OPS[second]
        self.layers = nn.ModuleList([nn.Linear(2, 4), nn.Linear(4, 4), nn.Linear(4, 3)])
        for parameter in self.parameters():
            nn.init.normal_(parameter)
            if whole:
                parameter.data = parameter.data.round()

    def forward(self, x: Tensor) -> Tensor:
        first, second, last = self.layers
        hidden = self.ops[0](first((x - 0.1) / 0.3))
        return last(hidden + self.ops[1](second(hidden)))


@given(
    st.sampled_from(sorted(OPS)), st.sampled_from(sorted(OPS)), st.booleans(), st.sampled_from(SETS), st.integers(0, 99)
)
@settings(max_examples=6)
def test_least_values_and_certificates_of_random_networks(
    first: str, second: str, whole: bool, ball: autodual.PerturbationSet, seed: int
) -> None:
    torch.manual_seed(seed)
    model, x = Mixed(first, second, whole), torch.rand(1, 2)
    dual = autodual.compile_dual(model, x)
    label = int(model(x).argmax())
    others = [other for other in range(3) if other != label]
    objective = torch.eye(3, dtype=torch.float64)[label] - torch.eye(3, dtype=torch.float64)[others]
    found = autodual.exact_bounds(dual, x, ball, objective, time_limit=20.0)
    (certificate,) = autodual.certify(dual, x, ball, [label], exact_seconds=20.0)

    model.double()
    region = ball.at(x.double())
    points = torch.cat([part for one in region.source.members() for part in _points(one, x.double())])
    with torch.no_grad():
        margins = model(points) @ objective.T
    scale = 1 + float(margins.abs().max())
    assert (found.lower[0] <= margins.amin(0) + 1e-12 * scale).all()
    assert (found.upper[0] <= margins.amin(0) + 2e-6 * scale).all()
    assert (found.upper - found.lower <= 2e-6 * scale).all()
    for place in range(2):
        assert region.contains(found.points[:, place], tolerance=1e-9).all()
    least = float(found.upper.min())
    if certificate.certified:
        assert least > 0 and certificate.margin <= least + 1e-12 * scale
    elif str(certificate.status) == "falsified":
        assert least < 0 and model.float()(certificate.counterexample[None]).argmax() != label
    else:
        assert str(certificate.status) == "misclassified" or abs(least) <= 1e-4 * scale


def _points(ball: autodual.PerturbationSet, x: Tensor) -> list[Tensor]:
    region = ball.at(x)
    return [region.sample(300)[:, 0], region.corners(20)[:, 0]]
