"""The progress of a run: its step, this epoch's loss, and the log."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from autodual.train.journal import Figures
from autodual.train.saved_state import Unfit, require_keys, require_like


@dataclass
class Progress:
    """Plain numbers, all of which a checkpoint holds.

    step: how many batches have been trained on. loss, samples: the sum of this epoch's losses, and the number of
    samples in it. seconds: spent in steps. rows: the log, one row for each epoch. stopped: the run takes no more steps.
    """

    step: int = 0
    loss: float = 0.0
    samples: float = 0.0
    seconds: float = 0.0
    rows: list[Figures] = field(default_factory=list)
    stopped: bool = False

    @property
    def mean_loss(self) -> float:
        """The mean loss of this epoch so far; NaN before its first step."""
        return self.loss / self.samples if self.samples else math.nan

    def add(self, loss: float, samples: float, seconds: float) -> None:
        """Count one step."""
        self.step += 1
        self.loss += loss
        self.samples += samples
        self.seconds += seconds

    def finish_epoch(self, row: Figures) -> None:
        """Log an epoch and begin the next."""
        self.rows.append(row)
        self.loss = self.samples = 0.0

    def state(self) -> dict[str, Any]:
        """The state, for a checkpoint."""
        return asdict(self)

    @classmethod
    def of(cls, state: Any, steps: int, steps_an_epoch: int, figures: Iterable[str], epochs_a_row: int = 1) -> Progress:
        """The progress in a checkpoint of a run of `steps` steps that logs these figures, every `epochs_a_row` epochs.

        Raises Unfit where no such run can have that progress.
        """
        measure = asdict(cls())
        require_keys("progress", state, measure)
        for key, value in measure.items():
            if not isinstance(value, list):
                require_like(f"progress.{key}", state[key], value)
            elif type(state[key]) is not list:
                raise Unfit(f"'progress.{key}' must be a list")
        found = cls(**state)
        if found.step > steps or len(found.rows) != found.step // steps_an_epoch:
            raise Unfit(f"'progress' tells of {len(found.rows)} epochs and {found.step} of {steps} steps")
        for epoch, row in enumerate(found.rows, start=1):
            _require_row(row, epoch * epochs_a_row, figures)
        return found


def _require_row(row: Any, epoch: int, figures: Iterable[str]) -> None:
    """Raise Unfit unless a row of the log is that of an epoch. Figures that were not computed are NaN."""
    require_keys("progress.rows", row, dict.fromkeys(figures))
    if any(type(value) not in (int, float) for value in row.values()):
        raise Unfit("'progress.rows' holds what is no number")
    if row["epoch"] != epoch:
        raise Unfit(f"'progress.rows' has no line for epoch {epoch}")
