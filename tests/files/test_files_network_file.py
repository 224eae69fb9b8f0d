"""Networks trained by autodual: read without executing anything, refused if they are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import autodual
from autodual.architectures import NetworkDescription
from autodual.errors import InvalidInputError, ModelFileError
from autodual.files import load_model_file
from autodual.files.network_file import NetworkFile, network_bytes


@pytest.fixture
def description() -> NetworkDescription:
    return NetworkDescription("mlp:5", (2, 3), 3, False, (0.5,), (0.25,))


def written(path: Path, description: NetworkDescription, **changes: object) -> torch.nn.Module:
    torch.manual_seed(0)
    network = description.build() if description.own else torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 3))
    file = NetworkFile(description, network.state_dict(), {"set": {"eps": 0.1}})
    path.write_bytes(network_bytes(file))
    if changes:
        content = torch.load(path, weights_only=True)
        torch.save({**content, **changes}, path)
    return description.of_raw_inputs(network).eval()


def test_a_network_loads_with_its_normalisation_and_training_set(tmp_path, description) -> None:
    network = written(tmp_path / "network.pt", description)
    loaded = load_model_file(tmp_path / "network.pt")
    x = torch.rand(4, 2, 3)
    assert isinstance(loaded.model, torch.nn.Module)
    torch.testing.assert_close(loaded.model(x), network(x))
    assert loaded.trained == {"set": {"eps": 0.1}} and not loaded.model.training


def test_a_factory_is_needed_for_own_architectures_and_refused_for_others(tmp_path, description) -> None:
    written(tmp_path / "network.pt", description)
    with pytest.raises(InvalidInputError, match="leave out factory="):
        autodual.load_model(tmp_path / "network.pt", factory=lambda: torch.nn.Linear(6, 3))
    theirs = NetworkDescription("mine.py:build", (2, 3), 3)
    written(tmp_path / "theirs.pt", theirs)
    with pytest.raises(ModelFileError, match=r"factory='mine.py:build'"):
        autodual.load_model(tmp_path / "theirs.pt")
    build = lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 3))  # noqa: E731
    assert autodual.load_model(tmp_path / "theirs.pt", factory=build)(torch.rand(1, 2, 3)).shape == (1, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"autodual_network": 3}, "newer version"),
        ({"autodual_network": 0}, "newer version"),
        ({"network": {"arch": "mlp:5"}}, "damaged"),
        ({"network": None}, "damaged"),
        ({"state_dict": {}}, "does not fit"),
        ({"network": {"arch": "mlp:6", "shape": [2, 3], "classes": 3, "batch_norm": False, "mean": None, "std": None}},
         "does not fit"),
        ({"network": {"arch": "mlp:0", "shape": [2, 3], "classes": 3, "batch_norm": False, "mean": None, "std": None}},
         "damaged"),
    ],
)  # fmt: skip
def test_damaged_and_newer_files_are_refused(tmp_path, description, changes, words) -> None:
    written(tmp_path / "network.pt", description, **changes)
    with pytest.raises(ModelFileError, match=words):
        autodual.load_model(tmp_path / "network.pt")


@pytest.mark.parametrize(
    ("name", "present"), [("wide:2", "wide-128:2"), ("resnet", "resnet-identity"), ("mlp:3", "mlp:3")]
)
def test_files_of_version_1_hold_the_networks_of_then(tmp_path, name: str, present: str) -> None:
    """Names in them stand for other networks than today's."""
    description = NetworkDescription(present, (1, 8, 8), 3, True)
    network = written(
        tmp_path / "network.pt", description, autodual_network=1, network={**description.to_mapping(), "arch": name}
    )
    x = torch.rand(2, 1, 8, 8)
    torch.testing.assert_close(autodual.load_model(tmp_path / "network.pt")(x), network(x))
    content = torch.load(tmp_path / "network.pt", weights_only=True)
    torch.save(
        [content, {**content, "autodual_network": 2, "network": description.to_mapping()}], tmp_path / "cascade.pt"
    )
    for stage in autodual.load_cascade(tmp_path / "cascade.pt"):
        torch.testing.assert_close(stage(x), network(x))
