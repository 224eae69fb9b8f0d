"""Budgets of files: how much what a file claims may be, before anything is allocated or walked for it.

A file of a few bytes can claim arrays of terabytes, or an object that unfolds into billions. A reader compares such
claims with a `Budget` first. Whoever means it multiplies all budgets by a number: `AUTODUAL_FILE_BUDGET=4`.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from autodual.errors import BudgetError

VARIABLE = "AUTODUAL_FILE_BUDGET"
"""The environment variable whose number multiplies all budgets."""

_LARGEST_FACTOR = 1_000_000


@dataclass(frozen=True)
class Budget:
    """The most of one thing that a file may claim. most: bytes, or a count, where `unit` is a plural."""

    most: int
    unit: str = "bytes"

    @property
    def allowed(self) -> int:
        """The budget of this process, multiplied as the environment says.

        Raises:
            BudgetError: the environment variable is no number of at least 1.
        """
        return int(self.most * factor())

    def require(self, name: str | None, claim: str, amount: float) -> None:
        """Refuse `amount` where it is more than the budget.

        Args:
            name: what messages call the file, such as its path; None: the network, where its file is not known.
            claim: what claims the amount, as the subject of a sentence that goes on "would take 5 GiB".
            amount: in the budget's unit.

        Raises:
            BudgetError: it is more; the message names the environment variable that allows it.
        """
        allowed = self.allowed
        if amount > allowed:
            subject = "The network" if name is None else f"'{name}'"
            raise BudgetError(
                f"{subject} is refused: {claim} would take {self._words(amount)}, and the budget of a file is "
                f"{self._words(allowed)}; if you trust it, multiply all budgets: {VARIABLE}={self._needed(amount)}."
            )

    def _words(self, amount: float) -> str:
        if self.unit == "bytes":
            return in_bytes(amount)
        return f"{amount:.3g} {self.unit}" if amount >= 1e9 else f"{int(amount)} {self.unit}"

    def _needed(self, amount: float) -> int:
        return max(2, min(math.ceil(amount / self.most), _LARGEST_FACTOR)) if math.isfinite(amount) else _LARGEST_FACTOR


FILE = Budget(2**30)
"""A file as it is stored: more than any network that was certified so far, and all of it is read at once."""

MEMORY = Budget(2**30)
"""The numbers that a file holds once it is unpacked and read, in the types in which they are kept."""

NESTING = Budget(100, "levels")
"""Containers, modules or expressions inside one another: readers and PyTorch call themselves once a level."""

OBJECTS = Budget(1_000_000, "values")
"""Values in a pickle or a document, each counted as often as it is reached: what is shared twice counts twice."""

LAYERS = Budget(800, "layers")
"""Layers, or operations, that a sample passes, counted as often as it does; DenseNet-201 has about 700.

Bounds of a chain of so many activations take some ten seconds."""

ACTIVATIONS = Budget(2**27)
"""The numbers that one operation of a network makes of one sample."""

WORK = Budget(20_000_000_000, "multiplications")
"""What one pass of a sample through a network takes; ResNet-152 takes half of it."""

TEXT = Budget(100_000, "characters")
"""A formula or a list of numbers that stands on a command line, or a single expression in a file."""


def factor() -> float:
    """What all budgets are multiplied by: 1, or the number in the environment variable.

    Raises:
        BudgetError: it is no number of at least 1.
    """
    text = os.environ.get(VARIABLE, "1")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 1 <= number <= _LARGEST_FACTOR:
        raise BudgetError(f"{VARIABLE} is '{text[:20]}'; it must be a number from 1 to {_LARGEST_FACTOR}.")
    return number


def in_bytes(amount: float) -> str:
    """An amount of memory in words, such as '1.5 GiB'."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if amount < 1024:
            break
        if unit != "EiB":
            amount /= 1024
    return f"{amount:.3g} {unit}"
