"""Cascades in one file: lists of state dicts, of modules or of trained networks, loaded as safely as single models."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn

from autodual.errors import InvalidInputError, ModelFileError
from autodual.files import load_cascade, load_cascade_file, load_model_file


class Payload:
    """Unpickling this creates the folder `marker`."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


class Homemade(nn.Module):
    def forward(self, x):
        return x


def network(classes: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, classes))


def stages(count: int = 3) -> list[nn.Sequential]:
    torch.manual_seed(0)
    return [network() for _ in range(count)]


def saved(tmp_path: Path, content: object) -> Path:
    torch.save(content, tmp_path / "cascade.pth")
    return tmp_path / "cascade.pth"


def assert_same(found: list[nn.Module], expected: list[nn.Sequential]) -> None:
    """The same functions, in evaluation mode and in order."""
    x = torch.rand(5, 4)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert not one.training
        assert torch.equal(one(x), other.eval()(x))


@pytest.mark.parametrize("key", [None, "state_dict", "model_state_dict"])
@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_of_state_dicts_fills_the_factorys_networks(tmp_path, key, kind):
    expected = stages()
    content = kind(stage.state_dict() for stage in expected)
    found = load_cascade(saved(tmp_path, content if key is None else {key: content, "epoch": 3}), network)
    assert_same(found, expected)
    assert found[0] is not found[1]


@pytest.mark.parametrize("kind", [list, tuple, nn.ModuleList])
def test_modules_of_stock_layers_need_no_factory(tmp_path, kind):
    expected = stages()
    path = saved(tmp_path, kind(expected))
    assert_same(load_cascade(path), expected)
    with pytest.raises(InvalidInputError, match="stage 1' already holds the architecture"):
        load_cascade(path, network)


def test_the_factory_may_be_named(tmp_path):
    (tmp_path / "arch.py").write_text("from torch import nn\ndef build():\n    return nn.Linear(3, 2)\n")
    path = saved(tmp_path, [nn.Linear(3, 2).state_dict()] * 2)
    assert all(isinstance(stage, nn.Linear) for stage in load_cascade(path, f"{tmp_path}/arch.py:build"))


def test_stages_keep_the_digest_of_their_file(tmp_path):
    path = saved(tmp_path, stages(2))
    loaded = load_cascade_file(path)
    assert [one.path for one in loaded] == [path] * 2
    torch.save(stages(1)[0], tmp_path / "single.pt")
    assert loaded[0].kind == load_model_file(tmp_path / "single.pt").kind
    assert loaded[0].sha256 == loaded[1].sha256 and len(loaded[0].sha256) == 64


def test_nothing_in_a_list_is_executed(tmp_path):
    marker = tmp_path / "executed"
    with pytest.raises(ModelFileError, match="would execute code"):
        load_cascade(saved(tmp_path, [stages(1)[0], Payload(marker)]))
    assert not marker.exists()
    path = saved(tmp_path, [stages(1)[0], Homemade()])
    with pytest.raises(ModelFileError, match="Homemade"):
        load_cascade(path)
    assert isinstance(load_cascade(path, unsafe=True)[1], Homemade)


@pytest.mark.parametrize("kind", [list, nn.ModuleList])
def test_a_tampered_layer_is_refused_in_any_stage(tmp_path, kind):
    tampered = stages(2)
    tampered[1][2].__dict__["forward"] = "not a method"
    with pytest.raises(ModelFileError, match="is refused: the attribute 'forward'"):
        load_cascade(saved(tmp_path, kind(tampered)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (network(), "holds no list of networks"),
        (network().state_dict(), "holds no list of networks"),
        ([], "holds no list of networks"),
        ({"state_dict": []}, "holds no list of networks"),
        ([network().state_dict(), 3], "stage 2' holds neither a model nor a state dict"),
        ([network().state_dict(), [network().state_dict()]], "stage 2' holds 1 state dicts"),
        ([network().state_dict(), network(5).state_dict()], "stage 2' does not fit the architecture: '3.weight'"),
    ],
)
def test_files_without_a_cascade_say_what_they_hold(tmp_path, content, message):
    with pytest.raises(ModelFileError, match=message):
        load_cascade(saved(tmp_path, content), network)


def test_weights_without_a_factory_and_nan_weights_are_named(tmp_path):
    with pytest.raises(ModelFileError, match=r"stage 1' holds weights only; .* factory="):
        load_cascade(saved(tmp_path, [stages(1)[0].state_dict()]))
    poisoned = stages(2)
    with torch.no_grad():
        poisoned[1][0].bias[0] = float("nan")
    with pytest.raises(InvalidInputError, match=r"stage 2' cannot be certified: its parameter '0.bias' holds NaN"):
        load_cascade(saved(tmp_path, [stage.state_dict() for stage in poisoned]), network)


def test_files_of_a_single_network_are_refused(tmp_path):
    program = torch.export.export(nn.Linear(3, 2).eval(), (torch.rand(2, 3),))
    torch.export.save(program, tmp_path / "model.pt2")
    with pytest.raises(ModelFileError, match=r"is a single network \(torch.export archive\), not a cascade"):
        load_cascade(tmp_path / "model.pt2")
    with pytest.raises(ModelFileError, match="There is no model file"):
        load_cascade(tmp_path / "absent.pth")


def test_the_published_cascade_loads(shared_directory):
    def small() -> nn.Sequential:
        layers = nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Flatten()
        return nn.Sequential(*layers, nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10))

    found = load_cascade(shared_directory / "reference" / "mnist_small_0.3_cascade.pth", small)
    assert len(found) == 3 and all(stage(torch.rand(2, 1, 28, 28)).shape == (2, 10) for stage in found)
