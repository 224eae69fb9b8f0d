"""Detection of possible adversarial inputs has no false negatives (Corollary 2)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.attacks import Pgd
from autodual.errors import InvalidInputError
from autodual.specs import ClassMargin


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ball", [autodual.LinfBall(0.3), autodual.L2Ball(0.3), autodual.LinfBall(0.3, (-2.5, 2.5))])
def test_adversarial_examples_are_flagged(
    ball: autodual.PerturbationSet, dtype: torch.dtype, dual: autodual.DualNetwork, x: Tensor
) -> None:
    """All points that an attack moved to another class are flagged; of the samples, exactly those not certified."""
    x = x.clamp(-2.5, 2.5).to(dtype)
    predicted = dual.outputs(x).argmax(1)
    points = Pgd(steps=40, restarts=5).run(dual.outputs, ball.at(x), ClassMargin(predicted))
    fooled = dual.outputs(points).argmax(1) != predicted
    assert int(fooled.sum()) >= 5
    assert bool(autodual.detect(dual, points[fooled], ball).all())
    flagged = autodual.detect(dual, x, ball)
    certified = torch.tensor([c.certified for c in autodual.certify(dual, x, ball, predicted)])
    assert torch.equal(flagged, ~certified) and bool(certified.any()) and bool(flagged.any())


def test_a_fixed_box_is_refused(dual: autodual.DualNetwork, x: Tensor) -> None:
    with pytest.raises(InvalidInputError, match="needs a ball"):
        autodual.detect(dual, x, autodual.Box(-1.0, 1.0))


def test_products_with_a_fixed_box_are_refused() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    dual, x = autodual.compile_dual(model), torch.rand(2, 4)
    shapes = ((2,), (2,))
    ball, box = autodual.LinfBall(0.01), autodual.Box(0.0, 1.0)
    assert autodual.detect(dual, x, autodual.ProductSet((ball, None), shapes)).shape == (2,)
    with pytest.raises(InvalidInputError, match="not a fixed box"):
        autodual.detect(dual, x, autodual.ProductSet((ball, box), shapes))
