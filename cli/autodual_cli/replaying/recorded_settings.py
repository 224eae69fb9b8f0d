"""Turns a document's settings back into options. Every value is checked, since a document may have been edited."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click

from autodual.errors import DataError, InvalidInputError
from autodual.perturbations import choose_set
from autodual.policies import Effort
from autodual.report.document import Row
from autodual.report.storage import file_sha256
from autodual_cli.options.option_groups import BallOptions, DataOptions, ModelOptions, ProjectionOptions
from autodual_cli.options.quantities import Probability
from autodual_cli.options.set_command import SET_OPTIONS
from autodual_cli.options.set_options import BOX
from autodual_cli.output.saved_points import place_of, with_saved_points
from autodual_cli.process.invocation import recall_extensions

_NUMBER = (int, float)


@dataclass(frozen=True)
class Replacements:
    """What whoever replays a run must state anew: where files are now, and that code may run."""

    model: Path | None = None
    data: str | None = None
    data_dir: Path | None = None
    box: str | None = None
    points: Path | None = None
    device: str | None = None
    arch: str | None = None
    unsafe_load: bool = False


def _nameable(text: str) -> bool:
    """Whether a file could have this name: most systems allow any text without a zero byte."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _in_range(value: Any) -> bool:
    """Whether an integer fits into 64 bits; other values always pass."""
    return not isinstance(value, int) or abs(value) < 2**63


@dataclass(frozen=True, eq=False)
class Recorded:
    """The settings of a document."""

    settings: Mapping[str, Any]
    replacements: Replacements

    def value(self, key: str, *types: type, optional: bool = False) -> Any:
        """The setting `key`, of one of `types`, or None where that is allowed.

        Raises:
            DataError: it is absent, or something else.
        """
        value = self.settings.get(key)
        wanted = optional if value is None else type(value) in types
        if wanted and (_nameable(value) if isinstance(value, str) else _in_range(value)):
            return value
        raise DataError(f"The document does not say a usable '{key}' ({value!r}), so its run cannot be replayed.")

    def numbers(self, key: str, count: int | None = None) -> tuple[float, ...] | None:
        """A list of numbers, or None."""
        values = self.value(key, list, optional=True)
        if values is None:
            return None
        if not all(type(value) in _NUMBER and _in_range(value) for value in values) or count not in (None, len(values)):
            raise DataError(f"The document does not say a usable '{key}' ({values!r}), so its run cannot be replayed.")
        return tuple(map(float, values))

    def words(self, key: str) -> tuple[str, ...]:
        """A list of words; none where the document does not say."""
        values = self.value(key, list, optional=True) or []
        if not all(isinstance(value, str) for value in values):
            raise DataError(f"The document does not say a usable '{key}' ({values!r}), so its run cannot be replayed.")
        return tuple(values)

    def attacks(self) -> tuple[int | str, ...]:
        """Attacks as the command line has them: names with options, or numbers of steps."""
        values = self.value("attacks", list)
        if not values or not all(type(value) in (int, str) and _in_range(value) for value in values):
            raise DataError(f"The document does not say usable 'attacks' ({values!r}), so its run cannot be replayed.")
        return tuple(values)

    def number(self, key: str) -> float:
        """A number."""
        return float(self.value(key, *_NUMBER))

    def exact_seconds(self) -> float | None:
        """The seconds of one exact decision, or None where none was asked for."""
        return self.number("time_limit") if self.value("exact", bool, optional=True) else None

    def effort(self) -> Effort | None:
        """The effort, or None where none was asked for."""
        value = self.value("effort", str, optional=True)
        if value in (None, *get_args(Effort)):
            return value
        raise DataError(f"The document does not say a usable 'effort' ({value!r}), so its run cannot be replayed.")

    def path(self, recorded: str) -> Path:
        """Where a file is now: relative to the current folder, or else to the folder that the run was started in."""
        return place_of(recorded, self.settings)

    def model(self) -> ModelOptions:
        """The network's options, once its file was found to be the same.

        Raises:
            InvalidInputError: the file is another one, or loading it runs code and that was not allowed anew.
        """
        new = self.replacements
        path = new.model or self.path(self.value("model", str))
        self.require("model", file_sha256(path))
        self._require_trust()
        return ModelOptions(
            path=path,
            arch=new.arch,
            unsafe_load=new.unsafe_load,
            output_index=self.value("output_index", int, optional=True),
            mean=self.numbers("mean"),
            std=self.numbers("std"),
            device=new.device or self.value("device", str),
            dtype=self.dtype(),
            memory=self.value("memory_bytes", int, optional=True),
            class_axis=self.value("class_axis", int, optional=True) or 1,
            passes=self.words("passes"),
        )

    def _require_trust(self) -> None:
        """Refuse to run code that only the document names; whoever replays it must name it again."""
        arch, unsafe = self.value("arch", str, optional=True), self.value("unsafe_load", bool, optional=True)
        if arch is not None and self.replacements.arch is None:
            raise InvalidInputError(
                f"The run built its network with the code of --arch {arch}; to run that code again, give --arch again."
            )
        if self.settings.get("extension_sha256") is not None and not recall_extensions():
            raise InvalidInputError(
                "The run used the code of an extension; to run that code again, name it: autodual --extension FILE.py "
                "replay."
            )
        if unsafe and not self.replacements.unsafe_load:
            raise InvalidInputError(
                "The run loaded its model with --unsafe-load, which executes code in it; give --unsafe-load again."
            )

    def dtype(self) -> str:
        """The arithmetic of the bounds."""
        dtype = self.value("arithmetic", str)
        if dtype not in ("float32", "float64"):
            raise DataError(f"The document's arithmetic {dtype!r} cannot be replayed; only float32 and float64 can.")
        return dtype

    def data(self, limit: int | None) -> DataOptions:
        """The data's options; the rows are chosen by their indices."""
        new = self.replacements
        name, folder = self.value("data", str), self.value("data_dir", str, optional=True)
        if new.data is not None:
            name = new.data
        elif name.endswith(".npz"):
            name = str(self.path(name))
        directory = new.data_dir or (None if folder is None else self.path(folder))
        batch = self.value("batch_size", int)
        return DataOptions(name, directory, skip=0, limit=limit, batch_size=max(batch, 1))

    def ball(self) -> BallOptions:
        """The shape of the set; of a box documents name the files alone."""
        norm = self.value("norm", str, optional=True)
        options = self.value(SET_OPTIONS, dict, optional=True) or {}
        box = self._box()
        if box is not None:
            norm, options = BOX, {BOX: box}
        domain = self.numbers("domain", 2)
        try:
            chosen = choose_set(norm or "linf", options)
        except InvalidInputError as error:
            raise DataError(f"The document's norm {norm!r} cannot be used with its parameters: {error}.") from None
        return BallOptions(chosen.name, domain, chosen.options)

    def projections(self) -> ProjectionOptions | None:
        """How bounds were estimated, or None; earlier versions, whose documents do not say, had no estimates."""
        chosen = self.value("projection", dict, optional=True)
        if chosen is None:
            return None
        dim, confidence, seed = (chosen.get(key) for key in ("dim", "confidence", "seed"))
        if type(dim) is int and dim >= 1 and type(confidence) is float and type(seed) is int:
            try:
                return ProjectionOptions(dim, Probability().convert(confidence, None, None), seed)
            except click.BadParameter:
                pass
        raise DataError(f"The document's projection {chosen!r} cannot be replayed: its numbers are out of range.")

    def _box(self) -> str | None:
        """The files of the box, or None."""
        box = self.value("box", str, optional=True)
        if box is None and self.settings.get("box_sha256") is not None and self.replacements.box is None:
            raise InvalidInputError("The document does not say where the files of its box are; give them with --box.")
        if self.replacements.box is not None:
            return self.replacements.box
        return None if box is None else ",".join(str(self.path(part.strip())) for part in box.split(","))

    def with_points(self, rows: list[Row]) -> tuple[list[Row], list[str]]:
        """The rows with the points that the run saved in a file of their own, and in words what cannot be found.

        Raises:
            DataError: the file is damaged, or no file of points.
        """
        self.value("save_points", str, optional=True)
        return with_saved_points(rows, self.settings, self.replacements.points)

    def require(self, role: str, now: str | None) -> None:
        """Refuse a file whose SHA-256 differs from the recorded one.

        Raises:
            InvalidInputError: it differs.
        """
        before = self.value(f"{role}_sha256", str, optional=now is None)
        if before != now:
            raise InvalidInputError(
                f"The {role.replace('_', ' ')} is not the one of the recorded run: its SHA-256 was "
                f"{str(before)[:12]}…, it is {str(now)[:12]}… now; replay with the file of then."
            )
