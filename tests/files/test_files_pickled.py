"""Pickled modules and state dicts: standard layers load, everything that could execute code is refused unexecuted."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from torch import nn

from autodual.errors import InvalidInputError, ModelFileError
from autodual.files import load_model, load_model_file
from autodual.files.modules import check_module


class Payload:
    """Unpickling this creates the folder `marker`."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


class Homemade(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3)
    )


def saved(tmp_path: Path, content: object, name: str = "model.pt", **options) -> Path:
    path = tmp_path / name
    torch.save(content, path, **options)
    return path


def test_a_module_of_stock_layers_computes_what_was_saved(tmp_path):
    model = network().eval()
    loaded = load_model(saved(tmp_path, model))
    x = torch.rand(2, 1, 4, 4)
    assert not loaded.training
    assert torch.equal(loaded(x), model(x))


def test_a_whole_module_in_the_format_before_pytorch_1_6_is_refused(tmp_path):
    """Such files carry the source code of their classes, which the restricted unpickler does not read."""
    model = network().eval()
    path = saved(tmp_path, model, _use_new_zipfile_serialization=False)
    with pytest.raises(ModelFileError, match=r"format of before PyTorch 1.6"):
        load_model(path)
    x = torch.rand(2, 1, 4, 4)
    assert torch.equal(load_model(path, unsafe=True)(x), model(x))


def test_a_state_dict_in_the_format_before_pytorch_1_6_loads(tmp_path):
    path = saved(tmp_path, network().state_dict(), _use_new_zipfile_serialization=False)
    assert isinstance(load_model(path, factory=network), nn.Sequential)


def test_the_digest_is_that_of_the_file(tmp_path):
    import hashlib

    path = saved(tmp_path, network())
    loaded = load_model_file(path)
    assert loaded.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert loaded.kind == "torch.save file"


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_executes_code_is_refused_before_it_does(tmp_path, legacy):
    marker = tmp_path / "executed"
    path = saved(tmp_path, Payload(marker), _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ModelFileError, match=r"would execute code of its own choice \(.*mkdir\).*unsafe=True"):
        load_model(path)
    assert not marker.exists()


def test_a_payload_beside_stock_layers_is_refused_unexecuted(tmp_path):
    marker = tmp_path / "executed"
    model = network()
    model.extra = Payload(marker)
    with pytest.raises(ModelFileError, match="mkdir"):
        load_model(saved(tmp_path, model))
    assert not marker.exists()


def test_a_homemade_class_is_named_and_loads_only_on_request(tmp_path):
    path = saved(tmp_path, Homemade())
    with pytest.raises(ModelFileError, match=rf"{__name__}.Homemade.*factory=.*unsafe=True"):
        load_model(path)
    assert isinstance(load_model(path, unsafe=True), Homemade)


def hide_forward(model: nn.Sequential) -> None:
    model[2].__dict__["forward"] = "not a method"


def add_hook(model: nn.Sequential) -> None:
    model[2]._forward_hooks = OrderedDict({0: nn.ReLU()})


def hide_parameters(model: nn.Sequential) -> None:
    model[2].__dict__["_parameters"] = OrderedDict(weight="text")


def child_that_is_no_module(model: nn.Sequential) -> None:
    model[2].__dict__["_modules"] = {"child": "text"}


def attribute_that_is_a_class(model: nn.Sequential) -> None:
    model[2].__dict__["inplace"] = nn.ReLU


@pytest.mark.parametrize(
    "tamper",
    [hide_forward, add_hook, hide_parameters, child_that_is_no_module, attribute_that_is_a_class],
)
def test_tampered_stock_layers_are_refused(tmp_path, tamper):
    model = network()
    tamper(model)
    with pytest.raises(ModelFileError, match="is refused: "):
        load_model(saved(tmp_path, model))


def test_a_compiled_call_is_refused_although_pickling_drops_it():
    model = network()
    model[2].__dict__["_compiled_call_impl"] = nn.ReLU()
    with pytest.raises(ModelFileError, match=r"attribute '_compiled_call_impl' of 'model.2'"):
        check_module("model.pt", model)


def test_a_module_inside_itself_is_refused(tmp_path):
    model = network()
    model[0]._modules["loop"] = model
    with pytest.raises(ModelFileError, match="contains itself"):
        load_model(saved(tmp_path, model))


def test_a_shared_layer_is_fine(tmp_path):
    layer = nn.Linear(3, 3)
    loaded = load_model(saved(tmp_path, nn.Sequential(layer, nn.ReLU(), layer)))
    assert loaded[0] is loaded[2]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_named(tmp_path, value):
    model = network()
    with torch.no_grad():
        model[5].bias[1] = value
    with pytest.raises(InvalidInputError, match=r"parameter '5.bias' holds NaN or infinity"):
        load_model(saved(tmp_path, model))


def test_a_state_dict_fills_the_factorys_network(tmp_path):
    model = network().eval()
    for content in (model.state_dict(), {"state_dict": model.state_dict(), "epoch": 3}):
        loaded = load_model(saved(tmp_path, content), factory=network)
        x = torch.rand(2, 1, 4, 4)
        assert torch.equal(loaded(x), model(x))


def test_a_state_dict_without_architecture_asks_for_it(tmp_path):
    with pytest.raises(ModelFileError, match=r"holds weights only; say which network .* factory="):
        load_model(saved(tmp_path, network().state_dict()))


def test_a_cascade_of_state_dicts_is_refused(tmp_path):
    with pytest.raises(ModelFileError, match="holds 2 state dicts, a cascade; load it as one"):
        load_model(saved(tmp_path, {"state_dict": [network().state_dict()] * 2}), factory=network)


def test_missing_and_unexpected_keys_and_wrong_shapes_are_named(tmp_path):
    state = network().state_dict()
    state["6.weight"] = state.pop("5.weight")
    with pytest.raises(ModelFileError, match=r"lacks '5.weight' and has unknown '6.weight'"):
        load_model(saved(tmp_path, state), factory=network)
    state = network().state_dict()
    state["5.bias"] = torch.zeros(4)
    with pytest.raises(ModelFileError, match=r"'5.bias' has shape \(4,\), the network wants \(3,\)"):
        load_model(saved(tmp_path, state), factory=network)


def test_an_architecture_comes_from_a_file_or_a_module(tmp_path, monkeypatch):
    (tmp_path / "arch_of_test.py").write_text("import torch\ndef build():\n    return torch.nn.Linear(3, 2)\n")
    path = saved(tmp_path, nn.Linear(3, 2).state_dict())
    assert isinstance(load_model(path, factory=f"{tmp_path}/arch_of_test.py:build"), nn.Linear)
    monkeypatch.chdir(tmp_path)
    assert isinstance(load_model(path, factory="arch_of_test:build"), nn.Linear)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("nothing", "is not of the form"),
        ("no_such_module_here:build", "cannot be imported"),
        ("no/such/file.py:build", "There is no file"),
        ("os:no_such_name", "has no factory"),
        ("os:sep", "cannot be called"),
    ],
)
def test_a_reference_that_names_no_factory_is_refused(tmp_path, reference, message):
    with pytest.raises(InvalidInputError, match=message):
        load_model(saved(tmp_path, nn.Linear(3, 2).state_dict()), factory=reference)


def test_a_factory_that_fails_or_builds_no_module_is_reported(tmp_path):
    path = saved(tmp_path, nn.Linear(3, 2).state_dict())
    with pytest.raises(ModelFileError, match="factory failed: ZeroDivisionError"):
        load_model(path, factory=lambda: 1 / 0)
    with pytest.raises(ModelFileError, match="returned a int"):
        load_model(path, factory=lambda: 3)
    with pytest.raises(InvalidInputError, match="already holds the architecture"):
        load_model(saved(tmp_path, network()), factory=network)


@pytest.mark.parametrize("content", [{"a": 1}, [1, 2], torch.zeros(3), {}, {"state_dict": 3}])
def test_other_pickles_are_refused(tmp_path, content):
    with pytest.raises(ModelFileError, match="holds neither a model nor a state dict"):
        load_model(saved(tmp_path, content))


def test_missing_empty_and_foreign_files_get_one_sentence(tmp_path):
    (tmp_path / "empty.pt").touch()
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "net.onnx").write_bytes(b"\x08\x01")
    (tmp_path / "net.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps({"a": 1}))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("folder/readme", "hello")
    cases = {
        "absent.pt": "There is no model file",
        "": "is a folder",
        "empty.pt": "is empty",
        "text.pt": "is a text file; give an ONNX file",
        "net.onnx": "no ONNX model",
        "net.safetensors": "SafeTensors",
        "plain.pt": "truncated or damaged",
        "other.zip": "is a zip file but not a model",
    }
    for name, message in cases.items():
        with pytest.raises(ModelFileError, match=message):
            load_model(tmp_path / name)


def test_torchscript_is_refused(tmp_path):
    path = tmp_path / "script.pt"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("m/constants.pkl", b"")
        archive.writestr("m/data.pkl", b"")
        archive.writestr("m/code/__torch__.py", b"")
    path.write_bytes(buffer.getvalue())
    with pytest.raises(ModelFileError, match="TorchScript archive"):
        load_model(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_no_truncation_or_flipped_byte_escapes_as_another_error(tmp_path, legacy):
    content = saved(tmp_path, network(), _use_new_zipfile_serialization=not legacy).read_bytes()
    damaged = tmp_path / "damaged.pt"
    generator = torch.Generator().manual_seed(0)
    for trial in range(60):
        position = int(torch.randint(1, len(content), (), generator=generator))
        flipped = content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]
        damaged.write_bytes(content[:position] if trial % 2 else flipped)
        try:
            load_model(damaged)
        except (ModelFileError, InvalidInputError):
            continue
    damaged.write_bytes(content[:-40])
    if not legacy:
        with pytest.raises(ModelFileError, match="truncated or damaged"):
            load_model(damaged)


def test_zip_archives_that_deceive_are_refused(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/data.pkl", b"\0" * 100_000)
    with pytest.raises(ModelFileError, match="is compressed"):
        load_model(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../data.pkl", b"")
    with pytest.raises(ModelFileError, match="points outside"):
        load_model(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", b"")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("m/data.pkl", b"")
    with pytest.raises(ModelFileError, match="two entries of the same name"):
        load_model(path)


def test_the_reference_networks_load(shared_directory):
    for name in ("mnist_small", "mnist_6x100", "cifar_cnn_a"):
        assert isinstance(load_model(shared_directory / "reference" / f"{name}.pt"), nn.Sequential)
    with pytest.raises(ModelFileError, match="holds 3 state dicts"):
        load_model(shared_directory / "reference" / "mnist_small_0.3_cascade.pth")
