"""The log of a run: a CSV file with one line for each epoch, and TensorBoard's files if wanted."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autodual.errors import InvalidInputError

#: One epoch's figures, by name.
Figures = Mapping[str, float]


def log_text(rows: Sequence[Figures]) -> str:
    """All epochs so far as CSV; empty if there are none. The whole file, so that a resumed run repeats no line."""
    if not rows:
        return ""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: f"{value:.6g}" for name, value in row.items()})
    return buffer.getvalue()


class Board:
    """TensorBoard's view of a run. Raises InvalidInputError where its package is missing."""

    def __init__(self, folder: Path, epoch: int):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise InvalidInputError("--tensorboard needs its package: pip install 'autodual[train]'") from None
        # Hides what a killed run wrote after its last checkpoint.
        self._writer: Any = SummaryWriter(str(folder), purge_step=epoch + 1)

    def add(self, row: Figures) -> None:
        """Write one epoch's figures."""
        for name, value in row.items():
            self._writer.add_scalar(name, value, int(row["epoch"]))
        self._writer.flush()

    def close(self) -> None:
        """Close the writer."""
        self._writer.close()
