"""A run's folder: where it keeps its checkpoint, its best network, its log and its recipe."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from autodual.errors import InvalidInputError, ModelFileError
from autodual.files.network_file import NetworkFile, cascade_bytes, network_bytes, read_network_file
from autodual.files.pickled import load_restricted
from autodual.files.writing import write_bytes, write_text

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

_VERSION = 2


@dataclass(frozen=True)
class RunFolder:
    """The files of one run; all are written atomically."""

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
    def log(self) -> Path:
        """One line an epoch."""
        return self.path / "log.csv"

    @property
    def recipe(self) -> Path:
        """The recipe, complete, and what it was run with."""
        return self.path / "run.json"

    @property
    def cascade(self) -> Path:
        """The stages of a cascade that are trained so far, for `autodual certify --cascade`."""
        return self.path / "cascade.pt"

    def stage(self, number: int) -> RunFolder:
        """The folder of one stage of a cascade, counted from 1."""
        return RunFolder(self.path / f"stage-{number}")

    @property
    def holds_cascade(self) -> bool:
        """Whether a cascade is trained here, whose stages have folders of their own."""
        return self.stage(1).checkpoint.is_file()

    def check(self, *, resume: bool) -> None:
        """Raise InvalidInputError where the folder already holds another run, or none to resume."""
        held = self.checkpoint.is_file() or self.holds_cascade
        if resume and not held:
            raise InvalidInputError(f"'{self.path}' holds no checkpoint to resume from.")
        if not resume and held:
            raise InvalidInputError(f"'{self.path}' already holds a run: resume it (--resume), or name another folder.")

    def make(self) -> None:
        """Make the folder if need be, and clear away what a save that was killed has left.

        Raises InvalidInputError where it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInputError(f"the folder '{self.path}' cannot be made: {error.strerror}.") from None
        for leftover in self.path.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training in this folder; the lock ends with this process, however that ends.

        Raises InvalidInputError where another holds it.
        """
        with (self.path / ".lock").open("w") as file:
            if fcntl is not None:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise InvalidInputError(f"another process is training in '{self.path}'.") from None
            yield

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint."""
        buffer = io.BytesIO()
        torch.save({"version": _VERSION, **state}, buffer)
        write_bytes(self.checkpoint, buffer.getvalue())

    def load(self) -> dict[str, Any]:
        """The checkpoint; executes nothing. Raises ModelFileError where it is damaged or of another version."""
        name = str(self.checkpoint)
        state = load_restricted(name, self.checkpoint.read_bytes())
        if not isinstance(state, dict) or state.get("version") != _VERSION:
            raise ModelFileError(f"'{name}' is no checkpoint of this version of autodual.")
        return state

    def save_network(self, file: NetworkFile) -> None:
        """Replace the best network."""
        write_bytes(self.network, network_bytes(file))

    def load_network(self) -> NetworkFile:
        """The best network so far; executes nothing. Raises ModelFileError where the file is damaged."""
        name = str(self.network)
        return read_network_file(name, load_restricted(name, self.network.read_bytes()))

    def save_cascade(self, stages: Sequence[NetworkFile]) -> None:
        """Replace the cascade."""
        write_bytes(self.cascade, cascade_bytes(stages))

    def described(self) -> dict[str, Any]:
        """What `describe` wrote; nothing where that is gone or damaged."""
        try:
            found = json.loads(self.recipe.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def describe(self, values: dict[str, Any]) -> None:
        """Write what the run is made of."""
        write_text(self.recipe, json.dumps(values, indent=1) + "\n")
