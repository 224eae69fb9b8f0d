"""Which epoch's network is the best: chosen by errors on held-out samples, and by nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from autodual.train.losses import Judgement
from autodual.train.saved_state import require_keys, require_like
from autodual.train.validation import Errors


@dataclass
class Selection:
    """Plain numbers, all of which a checkpoint holds; they know of no samples but the held-out ones.

    best: errors of the best validation, as `Errors.ranked` orders them; empty before the first one. waited: validations
    since then.
    """

    best: list[float] = field(default_factory=list)
    waited: int = 0

    def judge(self, held_out: Errors, by: Judgement) -> bool:
        """Whether a validation is the best so far."""
        found = held_out.ranked(by)
        if not self.best or found < self.best:
            self.best, self.waited = found, 0
            return True
        self.waited += 1
        return False

    def exhausted(self, patience: int) -> bool:
        """Whether so many validations have brought nothing better; 0 is no limit."""
        return 0 < patience <= self.waited

    def state(self) -> dict[str, Any]:
        """The state, for a checkpoint."""
        return asdict(self)

    @classmethod
    def of(cls, state: Any) -> Selection:
        """The selection in a checkpoint. Raises Unfit where no run can have that."""
        best = state.get("best") if isinstance(state, Mapping) else None
        measure = {"best": [] if type(best) is list and not best else [0.0] * 3, "waited": 0}
        require_keys("selection", state, measure)
        require_like("selection", state, measure)
        return cls(**state)
