"""Compares what a `torch.save` file claims with what it holds and with the budgets, before it is unpickled.

Unpickling calls constructors, makes tensors of any size from four bytes by strides of 0, and shares containers, so that
a few unfold into billions. `check_claims` reads the pickle without building any of it.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Mapping
from typing import Any, NoReturn

import torch

from autodual.errors import ModelFileError
from autodual.files.extents import is_extent, is_view
from autodual.files.pickle_machine import Damaged, Machine, Made, Watch
from autodual.limits import LAYERS, MEMORY, NESTING, OBJECTS

_BYTES = {
    "Bool": 1, "Byte": 1, "Char": 1, "Untyped": 1, "Short": 2, "Half": 2, "BFloat16": 2, "Int": 4, "Float": 4,
    "Long": 8, "Double": 8, "ComplexFloat": 8, "ComplexDouble": 16,
}  # fmt: skip
_LAYER = "torch.nn.modules."
_TENSORS = frozenset(f"torch._utils._rebuild_tensor{version}" for version in ("", "_v2", "_v3"))
_ALLOCATING = re.compile(
    r"torch\.(\w+\.)?\w*(Tensor|Storage)|torch\._tensor\._rebuild\w*|collections\.Counter|builtins\.bytearray"
)
"""Functions that PyTorch's restricted unpickler allows although they allocate any amount of memory."""

_HARMLESS = frozenset(
    {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch.serialization._get_layout",
     "torch.device", "builtins.complex"}
)  # fmt: skip
_OLD_PARTS = 5
"""Pickles in a file from before PyTorch 1.6: magic number, version, machine, content, and keys of storages."""


def check_claims(name: str, data: bytes) -> None:
    """Compare what the file `data` claims with what it holds; `name` is its name in messages.

    Raises:
        BudgetError: tensors, values, layers or nesting are above their budgets.
        ModelFileError: the file calls a function it does not need, holds tensors that are not dense, or is damaged.
    """
    try:
        if data.startswith(b"PK"):
            _check_zipped(name, data)
        else:
            _check_old(name, data)
    except (Damaged, UnicodeError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        raise ModelFileError(damaged(name)) from None


def damaged(name: str) -> str:
    """The sentence for a file that cannot be read."""
    return f"'{name}' is truncated or damaged: it cannot be read as a file written by torch.save."


def _check_zipped(name: str, data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        sizes = {entry.filename.partition("/")[2]: entry.file_size for entry in archive.infolist()}
        folder = archive.namelist()[0].partition("/")[0]
        pickle = archive.read(f"{folder}/data.pkl") if "data.pkl" in sizes else b""
    claims = _Claims(name, {key[5:]: size for key, size in sizes.items() if key.startswith("data/")})
    claims.follow(io.BytesIO(pickle))


def _check_old(name: str, data: bytes) -> None:
    file, claims = io.BytesIO(data), _Claims(name, None)
    for _ in range(_OLD_PARTS):
        if not claims.follow(file):
            return  # PyTorch stops there too
    if claims.stored > len(data) - file.tell():
        raise Damaged


class _Claims:
    """The claims of one file's pickles so far. held: the stored bytes of each storage by its key, if known."""

    def __init__(self, name: str, held: Mapping[str, int] | None) -> None:
        self.stored = 0
        self._name = name
        self._held = held
        self._known: set[str] = set()
        self._tensors = 0

    def follow(self, file: io.BytesIO) -> bool:
        """Check one pickle; False if it holds an instruction that PyTorch refuses."""
        machine = Machine(self._name, Watch(self._call, self._new, self._storage))
        value = machine.run(file)
        check_extent(self._name, machine.made)
        return value is not None

    def _call(self, function: str, arguments: list[Any]) -> None:
        if function in _TENSORS:
            self._tensor(function, arguments)
        elif function in ("collections.OrderedDict", "torch.Size", "builtins.set"):
            _require(len(arguments) <= 1 and all(_is_short(argument) for argument in arguments))
        elif function == "_codecs.encode":
            _require(arguments[1:] == ["latin1"])
        elif function.startswith(_LAYER):
            self._refuse(f"it calls the constructor of {function.rpartition('.')[2]}")
        elif function.startswith("torch._utils._rebuild") and function not in _HARMLESS:
            self._refuse(f"it holds a tensor that {function.rpartition('.')[2]} makes, not a dense one of numbers")
        elif _ALLOCATING.fullmatch(function):
            self._refuse(f"it calls {function}")

    def _new(self, cls: str, arguments: list[Any]) -> None:
        if _ALLOCATING.fullmatch(cls) or (arguments and cls.startswith("torch.")):
            self._refuse(f"it makes a {cls} of its own")

    def _storage(self, identity: Any) -> None:
        kind, key, numel = _storage_parts(identity)
        size = numel * kind
        if self._held is not None and size > self._held.get(key, -1):
            raise Damaged
        if key not in self._known:
            self._known.add(key)
            self.stored += size

    def _tensor(self, function: str, arguments: list[Any]) -> None:
        storage, offset, size, stride = arguments[:4]
        _require(isinstance(storage, Made) and storage.kind == "storage")
        extents, strides = _parts(size), _parts(stride)
        width, _, numel = _storage_parts(storage.parts[0])
        if function.endswith("_v3"):  # the dtype is an argument, and the storage is counted in bytes
            stored, width = numel * width, _width(arguments[6])
            numel = stored // width
        _require(is_view(extents, strides, offset, numel))
        self._tensors += math.prod(extents) * width
        MEMORY.require(self._name, "its tensors", self._tensors)

    def _refuse(self, reason: str) -> NoReturn:
        raise ModelFileError(
            f"'{self._name}' is refused because {reason}; save the network's state dict, of dense tensors, and pass "
            "--arch, or accept the risk with --unsafe-load."
        )


def check_extent(name: str, made: list[Made]) -> None:
    """Compare the number of values, layers and levels that the values unfold into with the budgets.

    Raises:
        BudgetError: there are more.
        ModelFileError: a value contains itself.
    """
    values: dict[int, tuple[int, int, int]] = {}
    opened: set[int] = set()
    for root in made:
        stack = [(root, False)]
        while stack:
            value, leaving = stack.pop()
            key = id(value)
            if leaving:
                opened.discard(key)
                values[key] = _extent(value, values)
                _check_budgets(name, values[key])
            elif key in opened:
                raise ModelFileError(f"'{name}' is refused: one of its modules or containers contains itself.")
            elif key not in values:
                opened.add(key)
                stack.append((value, True))
                stack.extend((part, False) for part in value.parts if isinstance(part, Made) and id(part) not in values)


def _extent(value: Made, known: Mapping[int, tuple[int, int, int]]) -> tuple[int, int, int]:
    """The number of values and layers that a value unfolds into, and its levels."""
    inside = [known[id(part)] for part in value.parts if isinstance(part, Made)]
    layer = value.kind == "object" and value.name.startswith(_LAYER)
    values = 1 + len(value.parts) + sum(count for count, _, _ in inside)
    return values, layer + sum(layers for _, layers, _ in inside), 1 + max((depth for _, _, depth in inside), default=0)


def _check_budgets(name: str, extent: tuple[int, int, int]) -> None:
    values, layers, levels = extent
    LAYERS.require(name, "each pass through it", layers)
    NESTING.require(name, "its nesting", levels)
    OBJECTS.require(name, "its content, unfolded,", values)


def _storage_parts(identity: Any) -> tuple[int, str, int]:
    """The bytes per number, the key, and the count of numbers that a storage claims."""
    _require(isinstance(identity, Made) and identity.kind == "tuple" and len(identity.parts) in (5, 6))
    _, kind, key, _, numel = identity.parts[:5]
    _require(isinstance(kind, Made) and kind.kind == "global" and isinstance(key, str) and is_extent(numel))
    word = kind.name.rpartition(".")[2].removesuffix("Storage")
    if word not in _BYTES:
        raise Damaged
    return _BYTES[word], key, numel


def _width(dtype: Any) -> int:
    """Bytes per number of a dtype."""
    _require(isinstance(dtype, Made) and dtype.kind == "global")
    found = getattr(torch, dtype.name.removeprefix("torch."), None)
    if not isinstance(found, torch.dtype):
        raise Damaged
    return found.itemsize


def _parts(value: Any) -> list[Any]:
    """The members of a tuple, or of a `torch.Size`."""
    if isinstance(value, Made) and value.kind == "call" and value.name == "torch.Size" and value.parts:
        value = value.parts[0]
    _require(isinstance(value, Made) and value.kind == "tuple")
    return value.parts


def _is_short(value: Any) -> bool:
    """Whether it is a list or tuple whose members, or their first parts, are plain and so hashed in no time."""
    if not isinstance(value, Made) or value.kind not in ("list", "tuple"):
        return False
    firsts = [part.parts[0] if isinstance(part, Made) and part.parts else part for part in value.parts]
    return not any(isinstance(first, Made) for first in firsts)


def _require(condition: bool) -> None:
    if not condition:
        raise Damaged
