"""Budgets: the most that a file may claim, checked before anything is allocated or walked.

A file of a few bytes can claim arrays of terabytes, or an object that unfolds into billions. A reader compares such
claims with a `Budget` first. `AUTODUAL_FILE_BUDGET=4` multiplies all budgets by 4.
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
    """The most of one thing that a file may claim.

    Args:
        most: bytes, or a count.
        unit: of `most`, a plural.

    Example:
        >>> from autodual.limits import Budget
        >>> Budget(10, "levels").require("deep.json", "its nesting", 9)
    """

    most: int
    unit: str = "bytes"

    @property
    def allowed(self) -> int:
        """The budget, multiplied by the number in the environment variable.

        Raises:
            BudgetError: the environment variable is not a number of at least 1.
        """
        return int(self.most * factor())

    def require(self, name: str | None, claim: str, amount: float) -> None:
        """Refuse an amount above the budget.

        Args:
            name: of the file, for messages, such as its path; None: a network whose file is not known.
            claim: what claims the amount: the subject of a sentence that goes on "would take 5 GiB".
            amount: in the budget's unit.

        Raises:
            BudgetError: the amount is above the budget; the message names the environment variable that raises it.
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
"""The size of a file, which is read at once: more than any network certified so far."""

MEMORY = Budget(2**30)
"""The content of a file once it is unpacked and read, in the types in which it is kept."""

NESTING = Budget(100, "levels")
"""Nesting of containers, modules or expressions: readers and PyTorch recurse once for each level."""

OBJECTS = Budget(1_000_000, "values")
"""Values in a pickle or a document; a value that is shared twice counts twice."""

LAYERS = Budget(800, "layers")
"""Layers that a sample passes, counted at each pass; DenseNet-201 has about 700.

Bounds of a chain of this many activations take some ten seconds."""

ACTIVATIONS = Budget(2**27)
"""Bytes of the output of one operation for one sample."""

WORK = Budget(20_000_000_000, "multiplications")
"""The work of one forward pass of one sample; ResNet-152 takes half of it."""

TEXT = Budget(100_000, "characters")
"""A formula or a list of numbers on a command line, or a single expression in a file."""


def factor() -> float:
    """The factor of all budgets: 1, or the number in the environment variable.

    Raises:
        BudgetError: the variable is not a number of at least 1.

    Example:
        >>> from autodual.limits import factor
        >>> factor() >= 1
        True
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
    """An amount of memory in words.

    Args:
        amount: in bytes.

    Example:
        >>> from autodual.limits import in_bytes
        >>> in_bytes(1.5 * 2**30)
        '1.5 GiB'
    """
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if amount < 1024:
            break
        if unit != "EiB":
            amount /= 1024
    return f"{amount:.3g} {unit}"
