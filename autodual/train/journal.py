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
#: How the columns of a histogram of |δ| / ε begin; what follows is where a bin begins.
DELTA = "delta_"


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
        """Write one epoch's figures; those of a histogram as one."""
        epoch = int(row["epoch"])
        for name, value in row.items():
            if not name.startswith(DELTA):
                self._writer.add_scalar(name, value, epoch)
        shares = {float(name.removeprefix(DELTA)): value for name, value in row.items() if name.startswith(DELTA)}
        if shares:
            self._add_histogram(shares, epoch)
        self._writer.flush()

    def _add_histogram(self, shares: Mapping[float, float], epoch: int) -> None:
        """The shares of features by |δ| / ε, from the starts of their bins, of equal width up to 1."""
        width = 1 / len(shares)
        middles = [(start + width / 2, share) for start, share in shares.items()]
        self._writer.add_histogram_raw(
            "delta",
            min=0.0,
            max=1.0,
            num=1.0,
            sum=sum(middle * share for middle, share in middles),
            sum_squares=sum(middle**2 * share for middle, share in middles),
            bucket_limits=[start + width for start in shares],
            bucket_counts=list(shares.values()),
            global_step=epoch,
        )

    def close(self) -> None:
        """Close the writer."""
        self._writer.close()
