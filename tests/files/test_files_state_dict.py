"""State dicts of wrapped networks, inside checkpoints, and with weights that are complex, float8 or integers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from autodual.errors import InvalidInputError, ModelFileError
from autodual.files import load_model


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Sequential(nn.Linear(5, 3))).eval()


def _compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model, backend="eager")  # type: ignore[return-value]


def _parallel_inside(model: nn.Module) -> nn.Module:
    assert isinstance(model, nn.Sequential)
    model[2] = nn.DataParallel(_compiled(model[2]))
    return model


WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "parallel": nn.DataParallel,
    "compiled": _compiled,
    "parallel, compiled": lambda model: nn.DataParallel(_compiled(model)),
    "compiled, parallel": lambda model: _compiled(nn.DataParallel(model)),
    "inside": _parallel_inside,
}


def _loaded(tmp_path: Path, content: object) -> nn.Module:
    torch.save(content, tmp_path / "state.pt")
    model = load_model(tmp_path / "state.pt", factory=_network)
    assert isinstance(model, nn.Module)
    return model


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_prefixes_of_wrappers_are_removed(tmp_path: Path, wrap: Callable[[nn.Module], nn.Module]) -> None:
    x, expected = torch.rand(3, 4), _network()
    for parameter in expected.parameters():
        parameter.data.mul_(1.5)
    found = _loaded(tmp_path, wrap(_network_like(expected)).state_dict())
    assert torch.equal(found(x), expected(x))


def _network_like(model: nn.Module) -> nn.Module:
    copy = _network()
    copy.load_state_dict(model.state_dict())
    return copy


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net"])
def test_state_dicts_in_checkpoints_and_with_a_prefix(tmp_path: Path, key: str) -> None:
    state = {f"model.{name}": value for name, value in _network().state_dict().items()}
    assert torch.equal(_loaded(tmp_path, {key: state, "epoch": 3})(torch.ones(1, 4)), _network()(torch.ones(1, 4)))


def test_a_submodule_named_like_a_wrappers_prefix(tmp_path: Path) -> None:
    """Names that match the network already are not changed."""

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module, self.weight = nn.Linear(2, 2, bias=False), nn.Parameter(torch.zeros(2, 2))

    state = {"module.weight": torch.ones(2, 2), "weight": torch.full((2, 2), 2.0)}
    torch.save(state, tmp_path / "state.pt")
    model = load_model(tmp_path / "state.pt", factory=Named)
    assert torch.equal(model.state_dict()["module.weight"], torch.ones(2, 2))


def test_other_dictionaries_are_refused_with_their_names(tmp_path: Path) -> None:
    state = _network().state_dict()
    with pytest.raises(ModelFileError, match=r"does not fit the architecture: it has unknown 'head'\."):
        _loaded(tmp_path, {**{f"module.{key}": value for key, value in state.items()}, "module.head": state["0.bias"]})
    with pytest.raises(ModelFileError, match=r"but a dictionary of 'weights', 'optimizer'; save"):
        _loaded(tmp_path, {"weights": {"a": 1}, "optimizer": {}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.to(torch.complex64), "parameter '0.weight' is complex"),
        (lambda value: value.to(torch.float8_e5m2), "parameter '0.weight' (holds float8_e5m2 numbers|.*float8)"),
    ],
)
def test_complex_and_float8_weights(tmp_path: Path, change: Callable[[Tensor], Tensor], message: str) -> None:
    state = _network().state_dict()
    with pytest.raises(InvalidInputError, match=message):
        _loaded(tmp_path, {**state, "0.weight": change(state["0.weight"])})


def test_whole_numbers_in_place_of_weights(tmp_path: Path) -> None:
    """A quantised network's integers lack the scale by which they are multiplied."""
    state = _network().state_dict()
    with pytest.raises(ModelFileError, match=r"'0.weight' holds int8 numbers in place of floating ones"):
        _loaded(tmp_path, {**state, "0.weight": state["0.weight"].to(torch.int8)})
