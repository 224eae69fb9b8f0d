"""Calls of a function of tensors as lists of operations, done again without the Python between them."""

from __future__ import annotations

from autodual.recordings.any_batch import over_batches
from autodual.recordings.recorded_operations import Condition, RecordedOperations, Slot
from autodual.recordings.replay_program import Program, program_of
from autodual.recordings.things import Walk, the_same, unwatched

__all__ = [
    "Condition",
    "Program",
    "RecordedOperations",
    "Slot",
    "Walk",
    "over_batches",
    "program_of",
    "the_same",
    "unwatched",
]
