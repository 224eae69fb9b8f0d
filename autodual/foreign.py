"""Recognises files that autodual does not read, by their first bytes, so that a message can name them and a remedy."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from typing import NamedTuple


class Foreign(NamedTuple):
    """A kind of file, completing "it is …", and a remedy; no remedy if it is simply the wrong file.

    Example:
        >>> from autodual.foreign import foreign_file
        >>> foreign_file(b"%PDF-1.7").sentence("net.pt", "give a model file")
        "'net.pt' is a PDF document; give a model file."
    """

    kind: str
    remedy: str = ""

    def sentence(self, name: str, otherwise: str) -> str:
        """The sentence that refuses a file.

        Args:
            name: of the file.
            otherwise: the advice if there is no remedy.
        """
        return f"'{name}' is {self.kind}; {self.remedy or otherwise}."


_UNPACK = "unpack it first"
_TO_ONNX = "convert the network to ONNX, for example with tf2onnx"
_WEB_PAGE = re.compile(rb"\s*<(!doctype html|html|\?xml)", re.IGNORECASE)
_STARTS = (
    (
        b"version https://git-lfs.github.com/spec/",
        Foreign("a git LFS pointer, not the file", "run git lfs pull"),
    ),
    (b"\x89HDF\r\n\x1a\n", Foreign("an HDF5 file, as Keras writes for networks", _TO_ONNX)),
    (b"\x93NUMPY", Foreign("a NumPy array (.npy)")),
    (b"GGUF", Foreign("a GGUF file of quantised weights")),
    (b"\xfd7zXZ", Foreign("an xz archive", _UNPACK)),
    (b"BZh", Foreign("a bzip2 archive", _UNPACK)),
    (b"7z\xbc\xaf\x27\x1c", Foreign("a 7z archive", _UNPACK)),
    (b"Rar!", Foreign("a RAR archive", _UNPACK)),
    (b"%PDF", Foreign("a PDF document")),
    (b"\x89PNG", Foreign("a PNG image")),
    (b"\xff\xd8\xff", Foreign("a JPEG image")),
)
_CODE = re.compile(r"^(import|from|class|def) ", re.MULTILINE)
_MODELS = (".pt", ".pth", ".pt2", ".onnx", ".ckpt")


def foreign_file(data: bytes) -> Foreign | None:
    """The kind of a file; None if it is not recognised.

    Args:
        data: all of its bytes.
    """
    found = next((foreign for start, foreign in _STARTS if data.startswith(start)), None)
    if found is not None:
        return found
    if _WEB_PAGE.match(data[:200]):
        return Foreign("a web page, which a server sent in place of the file", "download it again and look at the page")
    if data[257:262] == b"ustar":
        return Foreign("a tar archive", f"{_UNPACK}: tar -xf")
    if data[4:8] == b"TFL3":
        return Foreign("a TensorFlow Lite model", _TO_ONNX)
    if _is_safetensors(data):
        return Foreign("a SafeTensors file of weights", "save what safetensors.torch.load_file gives with torch.save")
    return _text(data)


def foreign_archive(names: Iterable[str]) -> Foreign | None:
    """The kind of a zip archive; None if it is not recognised.

    Args:
        names: of its entries.
    """
    names = list(names)
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner:
        return Foreign(
            "a TorchScript archive, whose code cannot be bounded",
            "save the nn.Module that it was made of with torch.export.save, or its state dict",
        )
    if inner & {"archive_format", "data.pkl"}:
        return None
    if names and all(name.endswith(".npy") for name in names):
        return Foreign("a NumPy archive (.npz), which holds arrays and no network")
    if "config.json" in names and any(name.startswith("model.weights") for name in names):
        return Foreign("a Keras model", _TO_ONNX)
    if any(name.endswith("saved_model.pb") for name in names):
        return Foreign("a TensorFlow SavedModel", _TO_ONNX)
    inside = next((name for name in names if name.endswith(_MODELS)), None)
    return Foreign(f"a zip archive with '{inside}' in it", _UNPACK) if inside else None


def foreign_gzip(data: bytes) -> Foreign | None:
    """The kind of the file inside a gzip file, of which only the beginning is unpacked; None if not recognised.

    Args:
        data: the compressed bytes.
    """
    try:
        inside = zlib.decompressobj(wbits=31).decompress(data[:4096], 1024)
    except zlib.error:
        return None
    found = foreign_file(inside)
    if found is None:
        return None
    remedy = f"{_UNPACK}: tar -xzf" if found.kind == "a tar archive" else found.remedy
    return Foreign(f"{found.kind}, compressed with gzip", remedy)


def _is_safetensors(data: bytes) -> bool:
    """Whether the data start with a length in eight bytes, then JSON of that length."""
    length = int.from_bytes(data[:8], "little")
    return data[8:9] == b"{" and 2 <= length <= len(data) - 8 and data[7 + length : 8 + length] in (b"}", b" ")


def _text(data: bytes) -> Foreign | None:
    """The kind of a text file; None if it is not text."""
    start = data[:1000]
    if any(byte < 9 or 13 < byte < 32 for byte in start):
        return None
    words = start.decode("utf-8", errors="ignore")
    # The last character may be cut, which loses up to three bytes.
    if not words or len(words.encode()) + 3 < len(start):
        return None
    if _CODE.search(words):
        return Foreign("Python code", "save the state dict of the network, and name this code with factory=")
    return Foreign("a text file")
