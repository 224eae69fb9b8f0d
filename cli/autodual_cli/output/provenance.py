"""Where a run's numbers come from: the bytes it read, the software and machine it ran on, and how it was called."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any

import numpy
import torch

import autodual
from autodual import __version__
from autodual.files import LoadedModel
from autodual.report.storage import file_sha256
from autodual_cli.process.invocation import recall_command, recall_extensions

_CPU_FILE = Path("/proc/cpuinfo")


def file_record(role: str, path: str | PathLike[str], sha256: str | None = None) -> dict[str, str]:
    """A file as provenance lists it; its bytes are hashed here unless the reader of the file did so already.

    Raises:
        DataError: the file cannot be read.
    """
    return {"role": role, "path": str(path), "sha256": file_sha256(path) if sha256 is None else sha256}


def model_records(model: LoadedModel) -> list[dict[str, str]]:
    """The file of a model, and those that it keeps weights in; whoever read them has hashed what was read."""
    return [file_record("model", model.path, model.sha256), *_weight_files(model)]


def weight_file_digest(model: LoadedModel) -> str | None:
    """One SHA-256 for all other files that a model keeps weights in; None where it keeps none."""
    return digest_of(_weight_files(model))


def _weight_files(model: LoadedModel) -> list[dict[str, str]]:
    return [file_record("weights", file.path, file.sha256) for file in model.files]


def digest_of(records: Sequence[dict[str, str]]) -> str | None:
    """One SHA-256 for all of the files; None where there are none."""
    if not records:
        return None
    return hashlib.sha256("".join(record["sha256"] for record in records).encode("ascii")).hexdigest()


def architecture_records(reference: str | None) -> list[dict[str, str]]:
    """The file that `--arch` took its factory from, once it was imported; what that file imports is not listed."""
    if reference is None:
        return []
    place = reference.rpartition(":")[0]
    file = place if place.endswith(".py") else getattr(sys.modules.get(place), "__file__", None)
    return [] if file is None else [file_record("architecture", file)]


def extension_records() -> list[dict[str, str]]:
    """The files of the extensions that the command names."""
    return [
        {"role": "extension", "path": one.place, "sha256": one.sha256}
        for one in recall_extensions()
        if one.sha256 is not None
    ]


def provenance(
    device: torch.device, files: Sequence[Mapping[str, str]], *, units: str, samples: int | None = None
) -> dict[str, Any]:
    """The record that `settings["provenance"]` of every JSON document holds; all of it is text, numbers and lists.

    Every command that writes a document makes one while it prepares its settings. It takes no part in deciding
    whether a run may be resumed, so a file that must not change needs a `..._sha256` of its own among the settings.

    Args:
        device: where the bounds are computed.
        files: what was read, each made by `file_record`, such as `file_record("model", path, sha256)`.
        units: what eps, domains and inputs are measured in, in words.
        samples: how many samples the data set holds, where there is one.
    """
    return {
        "command": recall_command(),
        "directory": str(Path.cwd()),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "files": [dict(file) for file in (*files, *extension_records())],
        "samples": samples,
        "units": units,
        "device": device_name(device),
        "platform": platform.platform(),
        "source_sha256": source_sha256(),
        "versions": {
            "autodual": __version__,
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "python": platform.python_version(),
            **{f"extension {one.place}": one.version for one in recall_extensions() if one.version is not None},
        },
    }


@cache
def source_sha256() -> str:
    """The SHA-256 of autodual's own Python files, names included: between two releases versions do not tell."""
    digest = hashlib.sha256()
    folder = Path(autodual.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def device_name(device: torch.device) -> str:
    """The device as PyTorch calls it, and what hardware that is on this machine."""
    if device.type == "cuda":
        return f"{device}: {torch.cuda.get_device_name(device)}"
    return f"{device}: {_processor()}, {torch.get_num_threads()} threads"


def _processor() -> str:
    try:
        lines = _CPU_FILE.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # there is no such file outside Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def with_earlier(settings: Mapping[str, Any], before: Any) -> dict[str, Any]:
    """Settings whose provenance also keeps that of the earlier runs that a resumed run goes on from, oldest first."""
    now = settings.get("provenance")
    if not isinstance(now, dict) or not isinstance(before, dict):
        return dict(settings)
    older = before.get("earlier")
    latest = {key: value for key, value in before.items() if key != "earlier"}
    return {**settings, "provenance": {**now, "earlier": [*(older if isinstance(older, list) else []), latest]}}
