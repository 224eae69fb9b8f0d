"""Writing `torch.save` files that PyTorch itself would not write."""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

_NONE: Mapping[str, bytes] = MappingProxyType({})
_ONE: Mapping[str, bytes] = MappingProxyType({"0": bytes(64)})


@dataclass(frozen=True)
class Storage:
    """A storage that, according to the pickle, holds `numel` numbers."""

    numel: Any
    kind: Any = torch.FloatStorage
    key: str = "0"
    location: str = "cpu"


class Reduced:
    """Unpickling this calls `function(*arguments)`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.reduced = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


class New(Reduced):
    """Unpickling this calls `function.__new__(function, *arguments)`."""


class Raw:
    """Raw pickle instructions; they must leave one value on the stack."""

    def __init__(self, instructions: bytes) -> None:
        self.instructions = instructions


def tensor(storage: Storage, size: Any, stride: Any, offset: Any = 0) -> Reduced:
    """A tensor with the claimed size, stride and offset."""
    return Reduced(torch._utils._rebuild_tensor_v2, storage, offset, size, stride, False, OrderedDict())


def parameter(storage: Storage, size: Any, stride: Any, offset: Any = 0) -> Reduced:
    """A parameter with the claimed size, stride and offset."""
    return Reduced(torch._utils._rebuild_parameter, tensor(storage, size, stride, offset), True, OrderedDict())


class _Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
    """The pickler written in Python, since its nesting is limited only by Python's recursion limit."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=2)
        self.storages: dict[str, bytes] = {}

    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        if isinstance(value, Raw):
            self.write(value.instructions)
        elif isinstance(value, New):
            for part in value.reduced:
                self.save(part)
            self.write(pickle.NEWOBJ)
        else:
            super().save(value, save_persistent_id)

    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, Storage):
            return "storage", value.kind, value.key, value.location, value.numel
        if isinstance(value, torch.storage.TypedStorage):
            key = f"real{len(self.storages)}"
            self.storages[key] = bytes(value._untyped_storage)
            return "storage", getattr(torch, value._pickle_storage_type()), key, "cpu", value._size()
        return None


def pickled(value: Any) -> tuple[bytes, dict[str, bytes]]:
    """The pickle of a value, and the contents of the real storages in it."""
    buffer = io.BytesIO()
    pickler = _Pickler(buffer)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(200_000)
    try:
        pickler.dump(value)
    finally:
        sys.setrecursionlimit(before)
    return buffer.getvalue(), pickler.storages


def torch_zip(data: bytes, storages: Mapping[str, bytes] = _NONE) -> bytes:
    """A `torch.save` file of this pickle and these storages."""
    entries = {"data.pkl": data, "byteorder": b"little", "version": b"3\n"}
    entries |= {f"data/{key}": value for key, value in storages.items()}
    return zipped({f"archive/{name}": value for name, value in entries.items()})


def zipped(entries: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, value in entries.items():
            archive.writestr(zipfile.ZipInfo(name), value, method)
    return buffer.getvalue()


def unzipped(data: bytes) -> dict[str, bytes]:
    """The entries of a zip archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def saved(value: Any, storages: Mapping[str, bytes] = _ONE) -> bytes:
    """A `torch.save` file of a value that may hold false claims; storages: the real contents of the archive, by key."""
    data, real = pickled(value)
    return torch_zip(data, {**storages, **real})
