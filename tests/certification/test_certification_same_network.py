"""Certificates are for the model at the time of the call: edits since its compilation are noticed."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, weight_norm

import autodual
from autodual.certification import Cascade, certify_cascade
from autodual.errors import AutodualError, ModelChangedError
from autodual.properties import Case, Conjunction, Property, Variable

BALL = autodual.LinfBall(0.01)


class Scaled(nn.Module):
    """A model with one of everything that can be edited."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = 2.0
        self.shift = torch.tensor([0.1, 0.2, 0.3])
        self.net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x) * self.scale + self.shift


class Half(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / 2


@pytest.fixture(scope="module")
def x() -> Tensor:
    return torch.rand(3, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def compiled(x: Tensor) -> autodual.DualNetwork:
    torch.manual_seed(0)
    model = Scaled()
    model.net(torch.rand(9, 4))
    return autodual.compile_dual(model.eval(), x)


@pytest.fixture
def dual(compiled: autodual.DualNetwork) -> autodual.DualNetwork:
    return copy.deepcopy(compiled)


def _statuses(dual: autodual.DualNetwork, x: Tensor) -> list[str]:
    return [str(certificate.status) for certificate in autodual.certify(dual, x, BALL)]


def _patch(model: Scaled) -> None:
    model.net.forward = lambda x: model.net[3](model.net[0](x))  # type: ignore[method-assign]


EDITS: dict[str, Callable[[Scaled], object]] = {
    "a number": lambda model: setattr(model, "scale", 2.0001),
    "a plain tensor": lambda model: setattr(model, "shift", model.shift + 1e-4),
    "epsilon": lambda model: setattr(model.net[1], "eps", 2e-5),
    "another layer": lambda model: model.net.__setitem__(2, nn.Tanh()),
    "a layer of another width": lambda model: model.net.__setitem__(0, nn.Linear(5, 8)),
    "a layer more": lambda model: model.net.append(nn.Tanh()),
    "another number of outputs": lambda model: model.net.__setitem__(3, nn.Linear(8, 1)),
    "a layer less": lambda model: model.net.__delitem__(1),
    "a hook": lambda model: model.net[0].register_forward_hook(lambda module, inputs, output: output * 1.001),
    "a hook before": lambda model: model.net[3].register_forward_pre_hook(lambda module, inputs: (inputs[0] + 0.01,)),
    "a parametrisation": lambda model: parametrize.register_parametrization(model.net[0], "weight", Half()),
    "weight norm": lambda model: parametrizations.weight_norm(model.net[0]),
    "weight norm by a hook": lambda model: weight_norm(model.net[0]),
    "a method": _patch,
}


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_model_is_noticed(dual: autodual.DualNetwork, x: Tensor, edit: Callable[[Scaled], object]) -> None:
    edit(dual.model)  # type: ignore[arg-type]
    for call in (
        lambda: autodual.certify(dual, x, BALL),
        lambda: autodual.detect(dual, x, BALL),
        lambda: autodual.certified_radius(dual, x, autodual.LinfBall),
    ):
        with pytest.raises(ModelChangedError, match="compile it again"):
            call()


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("name", ["a parametrisation", "weight norm", "weight norm by a hook", "a layer less"])
def test_bounds_name_the_missing_tensor(dual: autodual.DualNetwork, x: Tensor, name: str) -> None:
    EDITS[name](dual.model)  # type: ignore[arg-type]
    with pytest.raises(ModelChangedError, match=r"no parameter or buffer 'net\.[01]\.\w+' any more"):
        dual.lower_bounds(x, BALL, torch.eye(3))


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.train(),
        lambda model: model.net[0].weight.data.mul_(1.5),
        lambda model: model.net[1].running_mean.add_(0.5),
        lambda model: model.net.__setitem__(0, nn.Linear(4, 8)),
        lambda model: model.shift.add_(0.1),
        lambda model: model.double(),
        lambda model: model.half(),
        lambda model: None,
    ],
)
def test_changed_values_modes_and_dtypes_are_certified(
    dual: autodual.DualNetwork, x: Tensor, change: Callable[..., object]
) -> None:
    """Such changes need no compilation: certificates are those of a freshly compiled model."""
    change(dual.model)
    fresh = autodual.compile_dual(copy.deepcopy(dual.model), x)
    assert _statuses(dual, x.double()) == _statuses(fresh, x.double())
    margins = [[c.margin for c in autodual.certify(one, x.double(), BALL)] for one in (dual, fresh)]
    assert margins[0] == pytest.approx(margins[1], abs=1e-6)


def test_edits_are_noticed_by_cascades_and_verification(dual: autodual.DualNetwork, x: Tensor) -> None:
    rows = Conjunction(numpy.array([[1.0, 0.0, 0.0]]), numpy.array([-9.0]), numpy.array([False]))
    centre = x[0].double().numpy()
    case = Case(centre - 0.01, centre + 0.01, (rows,))
    goal = Property((Variable("X", (4,)),), (Variable("Y", (3,)),), (case,), "2.0", None, 0, "")
    assert autodual.verify(dual, goal).status.value == "unsat"
    first = copy.deepcopy(dual)
    dual.model.scale = -2.0
    with pytest.raises(ModelChangedError):
        autodual.verify(dual, goal)
    with pytest.raises(ModelChangedError):
        certify_cascade(Cascade([dual, first]), x, BALL)


def test_edits_of_models_with_several_inputs_are_noticed() -> None:
    class Weighted(nn.Module):
        factor = 1.0

        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return torch.cat([a, self.factor * b], 1)

    parts = (torch.rand(2, 2), torch.rand(2, 3))
    dual = autodual.compile_dual(Weighted(), parts)
    x, ball = dual.model.join(*parts), dual.model.ball(autodual.LinfBall(0.1), None)
    autodual.certify(dual, x, ball)
    dual.model.model.factor = 1.5
    with pytest.raises(ModelChangedError):
        autodual.certify(dual, x, ball)


class Cancelling(nn.Module):
    """Terms of 10⁶ cancel, so that float32 keeps one digit of each output."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 8)
        self.back = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.linear(x)
        return self.back((h + 1e6).relu() - 1e6)


class Rounded(nn.Module):
    """Jumps at every multiple of 1/255, where pixels lie."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(torch.floor(x * 255) / 255)


class Casting(nn.Module):
    """Computes in float32 whatever it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.rand(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(torch.zeros(3, dtype=torch.float32), x.to(torch.float32), self.weight.to(torch.float32))


@pytest.mark.parametrize("model", [Cancelling(), Rounded(), Casting(), nn.Sequential(nn.Linear(4, 3), nn.RMSNorm(3))])
@pytest.mark.parametrize("factor", [1e-3, 1e4])
def test_rounding_is_not_mistaken_for_an_edit(model: nn.Module, factor: float) -> None:
    generator = torch.Generator().manual_seed(1)
    x = factor * torch.randint(0, 256, (4, 6), generator=generator).float().t() / 255  # not contiguous
    dual = autodual.compile_dual(model, x)
    for dtype in (torch.float32, torch.float64):
        assert len(autodual.certify(dual, x.to(dtype), autodual.LinfBall(1e-3 * factor))) == 6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.RMSNorm(8), nn.ReLU(), nn.Linear(8, 3)).to(dtype)
    x = torch.rand(5, 4)
    dual = autodual.compile_dual(model, x)
    for samples in (x, x.to(dtype)):
        autodual.certify(dual, samples, BALL)
    model[1].eps = 1e-3
    with pytest.raises(ModelChangedError):
        autodual.certify(dual, x, BALL)


def test_a_program_with_a_fixed_batch_size_takes_any_number_of_samples() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)), torch.rand(7, 4)
    dynamic = ({0: torch.export.Dim("batch", min=2, max=3)},)
    for program in (torch.export.export(model, (x[:4],)), torch.export.export(model, (x[:2],), dynamic_shapes=dynamic)):
        dual = autodual.compile_dual(program)
        for count in (1, 7):
            assert _statuses(dual, x[:count]) == _statuses(autodual.compile_dual(model), x[:count])


def test_a_model_that_no_longer_runs_says_so(dual: autodual.DualNetwork, x: Tensor) -> None:
    dual.model.net.append(nn.Linear(7, 3))
    with pytest.raises(AutodualError, match=r"does not run any more \(RuntimeError"):
        autodual.certify(dual, x, BALL)
