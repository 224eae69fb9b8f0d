"""A run's folder: where it keeps its checkpoint, its networks, its log and its recipe; nothing else is touched."""

from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from autodual.errors import InvalidInputError, ModelFileError
from autodual.files.container import read_model_bytes
from autodual.files.network_file import (
    NetworkFile,
    cascade_bytes,
    is_network_file,
    network_bytes,
    read_network_file,
)
from autodual.files.pickled import load_restricted
from autodual.files.writing import clear_leftovers, write_bytes
from autodual.train.earlier_checkpoints import with_present_names

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

SCHEMA = "autodual.training/2"
_EARLIER_SCHEMA = "autodual.training/1"
_VERSION, _EARLIER_VERSION = 3, 2
_LONGEST_DESCRIPTION = 1 << 20
#: The entries of a description that are read, and their values where they are missing.
_DESCRIBED: dict[str, Any] = {"recipe": {}, "provenance": {}, "data_dir": None}


@dataclass(frozen=True)
class RunFolder:
    """The files of one run; all are written atomically, and none through a link."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """Everything that a resumed run needs."""
        return self.path / "checkpoint.pt"

    @property
    def network(self) -> Path:
        """The best network so far, for `autodual certify`."""
        return self.path / "network.pt"

    @property
    def last(self) -> Path:
        """The network as the last epoch left it."""
        return self.path / "last.pt"

    @property
    def log(self) -> Path:
        """One line an epoch."""
        return self.path / "log.csv"

    @property
    def recipe(self) -> Path:
        """The complete recipe, its provenance and the folder of its data."""
        return self.path / "run.json"

    @property
    def cascade(self) -> Path:
        """The trained stages of a cascade, for `autodual certify --cascade`."""
        return self.path / "cascade.pt"

    def stage(self, number: int) -> RunFolder:
        """The folder of one stage of a cascade, counted from 1."""
        return RunFolder(self.path / f"stage-{number}")

    @property
    def holds_cascade(self) -> bool:
        """Whether a cascade is trained here: its stages have folders of their own."""
        return os.path.isfile(self.stage(1).checkpoint)

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's files."""
        return self.path / "tensorboard"

    @property
    def evaluation(self) -> tuple[Path, Path]:
        """What `autodual report` makes of the run: its figures and its page, which tell of this run alone."""
        return self.path / "report.json", self.path / "report.html"

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that a run writes here, whether they exist or not."""
        return self.checkpoint, self.network, self.last, self.log, self.recipe, self.cascade

    @property
    def stages(self) -> list[RunFolder]:
        """The existing folders of stages."""
        found = self.path.glob("stage-*") if os.path.isdir(self.path) else ()
        return [RunFolder(path) for path in sorted(found) if path.name.partition("-")[2].isdecimal()]

    @property
    def held(self) -> list[Path]:
        """Existing paths, here and in the stages' folders, with names that a run writes; broken links too."""
        inside = [path for stage in self.stages for path in (stage.path, *stage.files, stage.tensorboard)]
        return [path for path in (*self.files, self.tensorboard, *inside) if os.path.lexists(path)]

    # --- before a run -----------------------------------------------------------------------------------------------

    def check(self, *, resume: bool, overwrite: bool = False) -> None:
        """Raise InvalidInputError where the folder holds files that a run would replace, or no run to resume, or a link
        with a name that a run writes, since links are never followed.

        overwrite: allow another run to be replaced.
        """
        held = self.held
        for path in held:
            if os.path.islink(path):
                raise InvalidInputError(f"'{path}' is a link, and a run writes through none: remove it.")
        holds_run = os.path.isfile(self.checkpoint) or self.holds_cascade
        if resume and not holds_run:
            raise InvalidInputError(f"'{self.path}' holds no checkpoint to resume from.")
        if resume or overwrite or not held or self._stopped_at_once(held):
            return
        found = "a run: resume it (--resume)" if holds_run else f"'{held[0].name}': move that"
        raise InvalidInputError(f"'{self.path}' already holds {found}, name another folder, or give --overwrite.")

    def _stopped_at_once(self, held: Sequence[Path]) -> bool:
        """Whether a run ended here before it saved anything, so that another may begin."""
        described_only = all(path.name == self.recipe.name or os.path.isdir(path) for path in held)
        return described_only and self.described().get("schema") == SCHEMA

    def make(self) -> None:
        """Make the folder if it is missing. Raises InvalidInputError where it cannot be made."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInputError(f"the folder '{self.path}' cannot be made: {error.strerror}.") from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training in this folder; the system releases the lock when this process ends.

        Temporary files of saves that were killed are removed. Raises InvalidInputError where another process holds the
        lock, or its file `.lock` is a link or cannot be opened.
        """
        descriptor = _open_lock(self.path / ".lock")
        try:
            if fcntl is not None:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise InvalidInputError(f"another process is training in '{self.path}'.") from None
            for folder in (self, *self.stages):
                for path in folder.files:
                    clear_leftovers(path)
            yield
        finally:
            os.close(descriptor)

    def clear(self) -> None:
        """Remove the files of an earlier run and its evaluation, and nothing else; only while the folder is locked."""
        evaluated = [path for folder in (self, *self.stages) for path in folder.evaluation]
        for path in (*self.held, *evaluated):
            if os.path.isfile(path):
                path.unlink()

    # --- what it holds ----------------------------------------------------------------------------------------------

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint."""
        buffer = io.BytesIO()
        torch.save({"version": _VERSION, **state}, buffer)
        self._write(self.checkpoint, buffer.getvalue())

    def load(self) -> dict[str, Any]:
        """The checkpoint, unchecked; executes nothing. Raises ModelFileError where it is damaged or of another version.

        `saved_recipe` and `Training` check its content.
        """
        name = str(self.checkpoint)
        state = load_restricted(name, read_model_bytes(self.checkpoint))
        version = state.pop("version", None) if isinstance(state, dict) else None
        if type(version) is not int or version not in (_VERSION, _EARLIER_VERSION):
            raise ModelFileError(f"'{name}' is no checkpoint of this version of autodual.")
        return with_present_names(state) if version == _EARLIER_VERSION else state

    def save_network(self, file: NetworkFile) -> None:
        """Replace the best network."""
        self._write(self.network, network_bytes(file))

    def save_last(self, file: NetworkFile) -> None:
        """Replace the network of the last epoch."""
        self._write(self.last, network_bytes(file))

    def load_network(self) -> NetworkFile:
        """The best network so far; executes nothing. Raises ModelFileError where the file is missing or damaged."""
        name = str(self.network)
        content = load_restricted(name, read_model_bytes(self.network))
        if not is_network_file(content):
            raise ModelFileError(f"'{name}' is no network that a run has saved.")
        return read_network_file(name, content)

    def save_cascade(self, stages: Sequence[NetworkFile]) -> None:
        """Replace the cascade."""
        self._write(self.cascade, cascade_bytes(stages))

    def described(self) -> dict[str, Any]:
        """What `describe` wrote; empty if the file is missing or damaged."""
        if not os.path.isfile(self.recipe):
            return {}
        try:
            with self.recipe.open(encoding="utf-8") as file:
                found = json.loads(file.read(_LONGEST_DESCRIPTION))
        except (OSError, ValueError, RecursionError):
            return {}
        if not _is_description(found):
            return {}
        earlier = found.get("schema") == _EARLIER_SCHEMA
        return {**with_present_names(found), "schema": SCHEMA} if earlier else found

    def describe(self, values: dict[str, Any]) -> None:
        """Write the description of the run."""
        self._write(self.recipe, (json.dumps(values, indent=1) + "\n").encode())

    def save_log(self, text: str) -> None:
        """Replace the log."""
        if text:
            self._write(self.log, text.encode())

    def _write(self, path: Path, content: bytes) -> None:
        if os.path.islink(path):
            raise InvalidInputError(f"'{path}' is a link, and a run writes through none: remove it.")
        self.make()  # only now, so that a run that cannot begin leaves nothing behind
        write_bytes(path, content)


def _is_description(found: Any) -> bool:
    """Whether a value read from `run.json` is a table whose known entries have the right types."""
    if not isinstance(found, dict):
        return False
    recipe, provenance, folder = (found.get(key, kind) for key, kind in _DESCRIBED.items())
    return (
        isinstance(recipe, dict)
        and isinstance(recipe.get("data", {}), dict)
        and isinstance(provenance, dict)
        and (folder is None or (isinstance(folder, str) and folder.isprintable()))
    )


def _open_lock(path: Path) -> int:
    """The descriptor of a regular file, created if missing. Raises InvalidInputError where it cannot be opened."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        reason = "it is a link" if os.path.islink(path) else error.strerror
        raise InvalidInputError(f"the lock '{path}' cannot be opened: {reason}.") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidInputError(f"the lock '{path}' cannot be opened: it is no file.")
    return descriptor
