"""Files of other kinds than models: one sentence names the kind and a remedy."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy
import pytest
import torch
from torch import nn

from autodual.data import load_dataset
from autodual.errors import DataError, ModelFileError
from autodual.files import load_model


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("net.pt"))
    return buffer.getvalue()


def _zip(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, "content")
    return buffer.getvalue()


def _npz() -> bytes:
    buffer = io.BytesIO()
    numpy.savez_compressed(buffer, x=numpy.zeros((2, 4)))
    return buffer.getvalue()


def _safetensors() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4)


_PAGE = b"\n<!DOCTYPE html>\n<html><body>404: Not Found</body></html>"
_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 4567\n"
FILES = {
    "net.npz": (_npz(), r"is a NumPy archive \(\.npz\), which holds arrays and no network; give an ONNX file"),
    "net.npy": (b"\x93NUMPY\x01\x00", r"is a NumPy array \(\.npy\); give an ONNX file"),
    "net.tar": (_tar(), "is a tar archive; unpack it first: tar -xf"),
    "net.tar.gz": (gzip.compress(_tar()), "is a tar archive, compressed with gzip; unpack it first: tar -xzf"),
    "net.onnx.gz": (gzip.compress(_tar()), "is a tar archive, compressed with gzip"),
    "page.onnx": (_PAGE, "is a web page, which a server sent in place of the file; download it again"),
    "page.pt": (_PAGE, "is a web page"),
    "pointer.pt2": (_POINTER, "is a git LFS pointer, not the file; run git lfs pull"),
    "net.safetensors": (_safetensors(), "is a SafeTensors file of weights; save what .* gives with torch.save"),
    "renamed.pt": (_safetensors(), "is a SafeTensors file"),
    "net.h5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "is an HDF5 file, as Keras writes .*; convert the network to ONNX"),
    "net.keras": (_zip("metadata.json", "config.json", "model.weights.h5"), "is a Keras model; convert"),
    "saved_model.pb": (b"\x08\x01\x12\x05hello", "is a TensorFlow SavedModel; convert"),
    "net.tflite": (b"\x1c\x00\x00\x00TFL3" + bytes(30), "is a TensorFlow Lite model; convert"),
    "net.zip": (_zip("folder/net.onnx"), r"is a zip archive with 'folder/net\.onnx' in it; unpack it first"),
    "net.py": (b"import torch\n\nclass Net:\n    pass\n", "is Python code; save the state dict .* with factory="),
    "net.csv": (b"1,2,3\n", "is a text file; give an ONNX file"),
    "net.pt.gz": (gzip.compress(b"\x80\x02}q\x00."), "is compressed with gzip; unpack it first: gunzip"),
    "net.bin": (b"\x01\x02\x03" * 50, "is no model file that is known; give an ONNX file"),
}


@pytest.mark.parametrize("name", FILES)
def test_other_files_than_models_are_named(tmp_path: Path, name: str) -> None:
    content, message = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFileError, match=message) as caught:
        load_model(tmp_path / name)
    assert str(caught.value).count("\n") == 0


def test_a_folder_of_tensorflow(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is a folder, not a model file"):
        load_model(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    with pytest.raises(ModelFileError, match="is a TensorFlow SavedModel; convert"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("data.npz", _PAGE, "is a web page"),
        ("data.npz", _POINTER, "run git lfs pull"),
        ("data.tar.gz", gzip.compress(_tar()), "is a tar archive, compressed with gzip; unpack it first: tar -xzf"),
        ("data.tar", _tar(), "unpack it first"),
        ("data.csv", b"1,2,3\n", "is no data set: give a .npz file"),
    ],
    ids=["page", "pointer", "packed tar", "tar", "csv"],
)
def test_other_files_than_data_are_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path / name)


def test_a_tar_in_place_of_mnist(tmp_path: Path) -> None:
    for part in ("images-idx3", "labels-idx1"):
        (tmp_path / f"t10k-{part}-ubyte.gz").write_bytes(gzip.compress(_tar()))
    with pytest.raises(DataError, match="is a tar archive, compressed with gzip"):
        load_dataset("mnist:test", tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_and_wrapped_pickles_name_the_remedy(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "script.pt")
    with pytest.raises(ModelFileError, match=r"is a TorchScript archive.*; save the nn.Module .* torch.export.save"):
        load_model(tmp_path / "script.pt")
    torch.save(nn.DataParallel(nn.Linear(2, 2)), tmp_path / "parallel.pt")
    with pytest.raises(ModelFileError, match=r"save the network inside, model.module, or save its state dict"):
        load_model(tmp_path / "parallel.pt")
