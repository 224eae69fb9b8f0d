"""The log of a run: a CSV file of one line an epoch, and TensorBoard's files where they are asked for."""

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
    """All epochs so far as CSV; empty if there are none. Written whole, so that a resumed run writes no line twice."""
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
        # What a run that was killed had written beyond its last checkpoint is hidden.
        self._writer: Any = SummaryWriter(str(folder), purge_step=epoch + 1)

    def add(self, row: Figures) -> None:
        """One epoch's figures."""
        for name, value in row.items():
            self._writer.add_scalar(name, value, int(row["epoch"]))
        self._writer.flush()

    def close(self) -> None:
        """Nothing more will come."""
        self._writer.close()
