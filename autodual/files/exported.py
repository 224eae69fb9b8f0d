"""Loading `torch.export.save` archives (`.pt2`) without executing anything stored in them."""

from __future__ import annotations

import io
import json
import logging
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
from torch.export.pt2_archive._package import PT2ArchiveWriter

from autodual.errors import ModelFileError
from autodual.files.pickled import load_restricted
from autodual.files.serialized import Refused, rebuild_payloads, rebuild_program

_MODEL = "models/model.json"
_SAMPLES = "data/sample_inputs/model.pt"
_PAYLOADS = {"data/weights/": "weight_", "data/constants/": "tensor_"}
_INERT = re.compile(
    r"(archive_format|archive_version|byteorder|version|\.data/\w+|\.format_version|\.storage_alignment|extra/.*)\Z"
)


def load_exported(name: str, data: bytes) -> ExportedProgram:
    """The program in the archive `data`, on the CPU.

    Loading an archive with PyTorch unpickles its example inputs and constants, evaluates its symbolic sizes and runs
    source code made from its names. So the archive is taken apart, its inert content copied into a new one, and only
    that one is given to PyTorch. `name` is how messages call the file.

    Raises:
        ModelFileError: the archive is damaged, or asks for more than tensors, tensor operations and sizes.
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
    """`torch.export.load` of the archive `data`: only for archives rebuilt here or vouched for by the user."""
    try:
        with _quiet():
            program = torch.export.load(io.BytesIO(data))
    except Exception as error:  # PyTorch raises whatever its deserialiser stumbles over
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
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
    buffer = io.BytesIO()
    with PT2ArchiveWriter(buffer) as writer:
        for entry, content in kept.items():
            writer.write_bytes(entry, content)
    return buffer.getvalue()


def _kept_entries(name: str, entries: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    yield _MODEL, json.dumps(rebuild_program(json.loads(entries[_MODEL]))).encode()
    yield _SAMPLES, _resaved(name, _SAMPLES, entries[_SAMPLES])
    for folder, prefix in _PAYLOADS.items():
        legacy = f"{folder}model.pt"
        if legacy in entries:
            yield legacy, _resaved(name, legacy, entries[legacy])
            continue
        configuration = f"{folder}model_{folder.split('/')[1]}_config.json"
        payloads = rebuild_payloads(json.loads(entries[configuration]), prefix)
        yield configuration, json.dumps(payloads).encode()
        for payload in payloads["config"].values():
            path = folder + payload["path_name"]
            _check_extent(payload["tensor_meta"], len(entries[path]))
            yield path, entries[path]


def _resaved(name: str, entry: str, content: bytes) -> bytes:
    """The pickle `content`, unpickled with the restricted loader and pickled again, so that nothing else remains."""
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


def _check_extent(tensor_meta: dict[str, Any], stored: int) -> None:
    """Refuse a tensor that claims a size but stores nothing: PyTorch would allocate it."""
    if stored == 0 and all(size["as_int"] != 0 for size in tensor_meta["sizes"]):
        raise Refused("one of its tensors has no data")


@contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch logs every stumble of its deserialiser with a traceback, though the exception says it all."""
    logger = logging.getLogger("torch.export")
    disabled, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = disabled
