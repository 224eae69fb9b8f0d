"""Loading `torch.export.save` archives (`.pt2`) without executing code stored in them."""

from __future__ import annotations

import io
import json
import logging
import math
import re
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from autodual.errors import ModelFileError, reason_of
from autodual.files.extents import is_view
from autodual.files.pickled import load_restricted
from autodual.files.serialized import Refused, rebuild_payloads, rebuild_program
from autodual.limits import LAYERS, MEMORY, parse_json

_MODEL = "models/model.json"
_SAMPLES = "data/sample_inputs/model.pt"
_PAYLOADS = {"data/weights/": "weight_", "data/constants/": "tensor_"}
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 2, 7: 4, 8: 8, 9: 4, 10: 8, 11: 16, 12: 1, 13: 2, 28: 2, 29: 1, 30: 1, 31: 1,
          32: 1, 33: 1, 34: 4, 35: 8}  # fmt: skip
"""Bytes per number, by the type's number in the schema of torch.export."""

_INERT = re.compile(
    r"(archive_format|archive_version|byteorder|version|\.data/\w+|\.format_version|\.storage_alignment|extra/.*)\Z"
)


def load_exported(name: str, data: bytes) -> ExportedProgram:
    """The program in the archive `data`, on the CPU.

    PyTorch's loader unpickles example inputs and constants, evaluates symbolic sizes, and runs source code made from
    names in the archive. So the inert content is copied into a new archive, and only that one is given to PyTorch.
    `name` is the file's name in messages.

    Raises:
        ModelFileError: the archive is damaged, or holds more than tensors, tensor operations and sizes.
        BudgetError: the archive claims more than a file may.
    """
    try:
        rebuilt = _rebuild(name, data)
    except Refused as reason:
        raise ModelFileError(
            f"'{name}' is refused because {reason}; export the model again, or accept the risk with unsafe=True."
        ) from None
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, zipfile.BadZipFile):
        raise ModelFileError(f"'{name}' is damaged: it does not have the form of a torch.export archive.") from None
    return load_exported_trusting(name, rebuilt)


def load_exported_trusting(name: str, data: bytes) -> ExportedProgram:
    """`torch.export.load` of the archive `data`: only for archives rebuilt here, or trusted by the user."""
    try:
        with _quiet():
            program = torch.export.load(io.BytesIO(data))
    except Exception as error:  # PyTorch's deserialiser may raise anything
        reason = reason_of(error)
        raise ModelFileError(f"'{name}' cannot be loaded by PyTorch {torch.__version__}: {reason}") from error
    return program


def _rebuild(name: str, data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = {entry.partition("/")[2]: archive.read(entry) for entry in archive.namelist()}
    if entries["archive_format"] != b"pt2":
        raise ValueError("not a pt2 archive")
    if entries.get("byteorder", b"little").decode() != sys.byteorder:
        raise Refused("it was written on a machine of another byte order")
    kept = dict(_kept_entries(name, entries))
    unknown = sorted(entry for entry in entries.keys() - kept.keys() if not _INERT.match(entry))
    if unknown:
        raise Refused(f"it holds the unexpected entry '{unknown[0][:60]}'")
    # Imported where an archive is read, since it takes as long to import as torch itself.
    from torch.export.pt2_archive._package import PT2ArchiveWriter

    buffer = io.BytesIO()
    with PT2ArchiveWriter(buffer) as writer:
        for entry, content in kept.items():
            writer.write_bytes(entry, content)
    return buffer.getvalue()


def _kept_entries(name: str, entries: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    program = parse_json(name, entries[_MODEL])
    LAYERS.require(name, "each pass through it", len(program["graph_module"]["graph"]["nodes"]))
    yield _MODEL, json.dumps(rebuild_program(program)).encode()
    yield _SAMPLES, _resaved(name, _SAMPLES, entries[_SAMPLES])
    for folder, prefix in _PAYLOADS.items():
        legacy = f"{folder}model.pt"
        if legacy in entries:
            yield legacy, _resaved(name, legacy, entries[legacy])
            continue
        configuration = f"{folder}model_{folder.split('/')[1]}_config.json"
        payloads = rebuild_payloads(parse_json(name, entries[configuration]), prefix)
        yield configuration, json.dumps(payloads).encode()
        metas = [(folder + payload["path_name"], payload["tensor_meta"]) for payload in payloads["config"].values()]
        MEMORY.require(name, "its tensors", sum(_extent(meta, len(entries[path])) for path, meta in metas))
        if len({(path, meta["dtype"]) for path, meta in metas}) != len({path for path, _ in metas}):
            raise Refused("two of its tensors read the same bytes as different types")
        yield from ((path, entries[path]) for path, _ in metas)


def _resaved(name: str, entry: str, content: bytes) -> bytes:
    """The pickle `content`, unpickled with the restricted loader and pickled again, so that only tensors remain."""
    if not content:
        return content
    value = load_restricted(f"{name}/{entry}", content)
    if not _only_tensors(value):
        raise Refused(f"its entry '{entry}' holds more than tensors")
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def _only_tensors(value: Any, depth: int = 0) -> bool:
    if type(value) in (tuple, list, dict) and depth < 6:
        items = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        return all(_only_tensors(item, depth + 1) for item in items)
    return type(value) in (Tensor, torch.nn.Parameter, str, int, float, bool, type(None))


def _extent(tensor_meta: dict[str, Any], stored: int) -> int:
    """The bytes of a tensor, which must be a view of the bytes that are stored for it."""
    sizes, strides = ([size["as_int"] for size in tensor_meta[key]] for key in ("sizes", "strides"))
    width = _BYTES[tensor_meta["dtype"]]
    if stored % width or not is_view(sizes, strides, tensor_meta["storage_offset"]["as_int"], stored // width):
        raise Refused("one of its tensors has no data, or less than its shape needs")
    return math.prod(sizes) * width


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences PyTorch's log of deserialisation errors, with tracebacks: the exception says the same."""
    logger = logging.getLogger("torch.export")
    disabled, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = disabled
