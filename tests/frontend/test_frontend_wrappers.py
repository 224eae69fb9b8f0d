"""Wrappers that only change how a module runs are removed; tensors that are not plain are refused with a remedy."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

import autodual
from autodual.errors import InvalidInputError, TraceError

X = torch.rand(3, 4, generator=torch.Generator().manual_seed(0))


class Half(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / 2


def _plain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)).eval()


def _compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")  # type: ignore[return-value]


def _inside(wrap: Callable[[nn.Module], nn.Module]) -> nn.Sequential:
    model = _plain()
    model[0] = wrap(model[0])
    return model


def _compiled_in_place() -> nn.Sequential:
    model = _plain()
    model[0].compile(backend="eager")
    model.compile(backend="eager")
    return model


def _on_devices() -> nn.Sequential:
    """As on a machine with two accelerators, where DataParallel would scatter its inputs."""
    model = _inside(nn.DataParallel)
    model[0].device_ids = [0, 1]
    return model


MODELS: dict[str, Callable[[], nn.Module]] = {
    "compiled": lambda: _compiled(_plain()),
    "compiled inside": lambda: _inside(_compiled),
    "compiled in place": _compiled_in_place,
    "parallel": lambda: nn.DataParallel(_plain()),
    "parallel inside": _on_devices,
    "both": lambda: nn.DataParallel(_compiled(_plain())),
    "both, the other way round": lambda: _compiled(nn.DataParallel(_plain())),
    "graph module": lambda: torch.fx.symbolic_trace(_plain()),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_the_wrapped_network_is_certified(make: Callable[[], nn.Module]) -> None:
    model = make()
    dual = autodual.compile_dual(model, X)
    expected = autodual.certify(autodual.compile_dual(_plain(), X), X, autodual.LinfBall(0.05))
    found = autodual.certify(dual, X, autodual.LinfBall(0.05))
    assert [one.margin for one in found] == [one.margin for one in expected]
    with torch.no_grad():
        next(iter(model.parameters())).mul_(2)
    assert [one.margin for one in autodual.certify(dual, X, autodual.LinfBall(0.05))] != [one.margin for one in found]


@pytest.mark.parametrize(
    "change",
    [
        lambda layer: parametrize.register_parametrization(layer, "weight", Half()),
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        parametrizations.orthogonal,
    ],
)
def test_parametrised_layers_are_live(change: Callable[[nn.Module], object]) -> None:
    model = _plain()
    change(model[0])
    dual = autodual.compile_dual(model.eval(), X)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.1)
    torch.testing.assert_close(dual.outputs(X), model(X))
    assert len(autodual.certify(dual, X, autodual.LinfBall(0.01))) == 3


@pytest.mark.parametrize("wrap", [nn.DataParallel, _compiled])
def test_a_hook_on_a_wrapper_is_refused(wrap: Callable[[nn.Module], nn.Module]) -> None:
    model = wrap(_plain())
    model.register_forward_hook(lambda module, inputs, output: -output)
    with pytest.raises(TraceError, match=r"hook is registered on the .*; register it on what is inside"):
        autodual.compile_dual(model, X)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: torch.jit.script(_plain()), "The model is a RecursiveScriptModule"),
        (lambda: torch.jit.trace(_plain(), X), "The model is a TopLevelTracedModule"),
        (lambda: _inside(torch.jit.script), "The module '0' is a RecursiveScriptModule"),
    ],
)
def test_torchscript_names_the_remedy(make: Callable[[], nn.Module], where: str) -> None:
    with pytest.raises(TraceError, match=rf"{where}.*pass the nn.Module that it was made of"):
        autodual.compile_dual(make(), X)


def test_the_module_of_a_program_with_a_fixed_batch_size_is_refused() -> None:
    program = torch.export.export(_plain(), (X,))
    with pytest.raises(TraceError, match="pass the ExportedProgram itself"):
        autodual.compile_dual(program.module(), X)


def test_a_fixed_batch_size_is_named_where_a_program_needs_a_free_one() -> None:
    class Swapped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.transpose(0, 1).relu().transpose(0, 1)

    with pytest.raises(TraceError, match=r"The batch size 3 is baked into the program; .* free batch axis"):
        autodual.compile_dual(torch.export.export(Swapped(), (X,)))
    dynamic = ({0: torch.export.Dim.AUTO},)
    assert autodual.compile_dual(torch.export.export(Swapped(), (X,), dynamic_shapes=dynamic), X).plan.sites


def test_a_sample_without_a_batch_axis_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    x = torch.rand(2, 1, 4, 4)
    dual = autodual.compile_dual(model, x)
    program = torch.export.export(model, (x,))
    for call in (
        lambda: autodual.compile_dual(model, x[0]),
        lambda: autodual.compile_dual(nn.Linear(4, 3), torch.rand(4)),
        lambda: autodual.compile_dual(program, x[0]),
        lambda: autodual.certify(dual, x[0], autodual.LinfBall(0.1)),
        lambda: dual.outputs(x[0]),
    ):
        with pytest.raises(ValueError, match=r"x\[None\]"):
            call()


@pytest.fixture
def one_process(tmp_path):
    """A process group of this process alone, with a file as its store."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_process")
def test_distributed_data_parallel() -> None:
    plain = _plain()
    for model in (nn.parallel.DistributedDataParallel(_plain()), _inside(nn.parallel.DistributedDataParallel)):
        dual = autodual.compile_dual(model, X)
        found = dual.lower_bounds(X, autodual.LinfBall(0.1), torch.eye(3))
        expected = autodual.compile_dual(plain, X).lower_bounds(X, autodual.LinfBall(0.1), torch.eye(3))
        torch.testing.assert_close(found, expected)
        assert autodual.certify(dual, X, autodual.LinfBall(1e-4))[0].status == "certified"
    state = nn.parallel.DistributedDataParallel(plain).state_dict()
    assert all(name.startswith("module.") for name in state)


@pytest.mark.usefixtures("one_process")
@pytest.mark.filterwarnings("ignore")
def test_sharded_modules_are_refused_with_a_remedy() -> None:
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

    for model in (FullyShardedDataParallel(_plain(), device_id=torch.device("cpu")), fully_shard(_plain())):
        with pytest.raises((TraceError, InvalidInputError), match=r"sharded|is a DTensor.* gather"):
            autodual.compile_dual(model, X)
