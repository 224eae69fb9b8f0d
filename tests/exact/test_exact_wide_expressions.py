"""Programs of layers whose affine expressions are so long that scalars become columns of the program."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.exact import affine_scalars

pytest.importorskip("highspy")


class _Parts(nn.Module):
    """Two layers that read different scalars of one wide layer."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.left, self.right = nn.Linear(300, 400), nn.Linear(360, 2), nn.Linear(40, 2)

    def forward(self, x: Tensor) -> Tensor:
        z = self.wide(x)
        return self.left(z[:, :360]) + self.right(z[:, 360:])  # type: ignore[no-any-return]


class _Active(nn.Module):
    """Units that are all active, behind a wide layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(300, 400), nn.ReLU(), nn.Linear(400, 2))
        nn.init.constant_(self.layers[0].bias, 20.0)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", [_Parts, _Active])
def test_the_program_of_an_affine_network_gives_its_exact_minimum(kind: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model, x, objective = kind().double(), torch.rand(1, 300).double(), torch.tensor([[1.0, -1.0]]).double()
    gradient = torch.autograd.functional.jacobian(lambda z: model(z)[0] @ objective[0], x)
    expected = model(x)[0] @ objective[0] - 0.1 * gradient.abs().sum()
    found = autodual.lp_bounds(autodual.compile_dual(model, x), x, autodual.LinfBall(0.1), objective)
    torch.testing.assert_close(found, expected.reshape(1, 1), atol=1e-6, rtol=1e-6)


def test_an_objective_may_have_more_entries_than_the_layer_it_reads() -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(120_000, 2).double(), torch.rand(1, 120_000).double()
    objective, dual = torch.tensor([[1.0, -1.0]]).double(), autodual.compile_dual(model, x)
    found = autodual.lp_bounds(dual, x, autodual.LinfBall(0.1), objective)
    torch.testing.assert_close(found, dual.lower_bounds(x, autodual.LinfBall(0.1), objective), atol=1e-6, rtol=1e-6)


def test_programs_whose_scalars_become_columns_have_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    first, second, third = nn.Linear(4, 8).double(), nn.Linear(8, 8).double(), nn.Linear(8, 2).double()
    nn.init.constant_(first.bias[:3], 3.0)  # active units

    class Readers(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            z = first(x)
            y = torch.maximum(second(z), z.relu()) + torch.cat([second(z.relu())[:, :3], z[:, 3:]], 1)
            return third(y.relu()) - third(z)  # type: ignore[no-any-return]

    x, objective = torch.rand(1, 4).double(), torch.tensor([[1.0, -1.0], [-1.0, 0.3]]).double()
    dual, ball = autodual.compile_dual(Readers(), x), autodual.LinfBall(0.3)
    expected = autodual.lp_bounds(dual, x, ball, objective), autodual.exact_bounds(dual, x, ball, objective).lower
    monkeypatch.setattr(affine_scalars, "_FILL", 1)
    monkeypatch.setattr(affine_scalars, "_FREE", 0)
    found = autodual.lp_bounds(dual, x, ball, objective), autodual.exact_bounds(dual, x, ball, objective).lower
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
