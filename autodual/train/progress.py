"""How far a run has come: its step, this epoch's loss, the log, and the best validation so far."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from autodual.train.journal import Figures
from autodual.train.validation import Errors


@dataclass
class Progress:
    """Plain numbers, all of which a checkpoint holds.

    step: of the optimiser, all epochs counted. loss, samples: this epoch's losses added up, and of how many samples.
    best: certified, attacked and clean error of the best validation. waited: validations since then.
    """

    step: int = 0
    loss: float = 0.0
    samples: float = 0.0
    seconds: float = 0.0
    rows: list[Figures] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    waited: int = 0
    stopped: bool = False

    @property
    def mean_loss(self) -> float:
        """Of this epoch so far."""
        return self.loss / self.samples if self.samples else math.nan

    def add(self, loss: float, samples: float, seconds: float) -> None:
        """One more step is taken."""
        self.step += 1
        self.loss += loss
        self.samples += samples
        self.seconds += seconds

    def finish_epoch(self, row: Figures) -> None:
        """Log an epoch, and begin the next."""
        self.rows.append(row)
        self.loss = self.samples = 0.0

    def judge(self, errors: Errors, patience: int) -> bool:
        """Whether a validation is the best so far: by certified error, then by attacked and clean error.

        Where none has been for `patience` validations, the run stops.
        """
        attacked = 1.0 if math.isnan(errors.attacked) else errors.attacked
        found = [errors.certified, attacked, errors.clean]
        if not self.best or found < self.best:
            self.best, self.waited = found, 0
            return True
        self.waited += 1
        self.stopped = 0 < patience <= self.waited
        return False

    def state(self) -> dict[str, Any]:
        """For checkpoints."""
        return asdict(self)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Progress:
        """From a checkpoint."""
        return cls(**state)
