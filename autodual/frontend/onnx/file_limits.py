"""What an ONNX file may ask for: it is checked against these budgets before anything of that size is made.

A file of a few bytes can state shapes of any size, repeat values until they fill the memory, and call functions that
call functions. The budgets are far above what networks need, and small enough that the worst file within them loads in
seconds and in less than 1 GiB.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import NoReturn

from autodual.errors import ModelFileError

NODES = 10_000
"""Operators in a file, and nodes of the graph that is made of them."""
OPERATORS = 4_000
"""Operators that an output depends on, without constants; the time that bounds take grows with the square of these."""
LINKS = 40_000
"""Operands and results of all operators together."""
CALL_DEPTH = 32
"""Functions that call one another."""
FIELDS = 500_000
"""Fields of the protocol buffer: operators, attributes, names. Each takes up to 200 bytes once it is read."""
FILE_BYTES = 2**31
"""Protocol buffers hold less than 2 GiB; weights in other files are put into one."""
VALUE_ENTRIES = 2**24
"""Entries of one value that depends on the input."""
GRAPH_ENTRIES = 2**26
"""Entries of all such values together."""
CONSTANT_BYTES = 2**27
"""Bytes of everything that is computed at load, or unpacked, besides what the file itself holds."""
WORK = 2**33
"""Multiplications that computing the constants, or the network once, may take, besides what the file's size allows."""
REUSE = 2**15
"""Multiplications for each byte of the file: how often a weight may be used, as a convolution's is at every place."""
RANK = 64
"""Axes of a value; neither NumPy nor PyTorch has more."""
GROWTH = 16
"""How many times the file's own size these may come to where that is more."""


def refuse(name: str, claim: str) -> NoReturn:
    """Raise the error of a file that asks for more than its budget; `claim` says what it asks for."""
    raise ModelFileError(f"'{name}' is refused: {claim}.")


def allowance(size: int) -> int:
    """How many bytes a file of `size` bytes may unpack to, or have computed from it."""
    return max(CONSTANT_BYTES, GROWTH * size)


@dataclass(eq=False)
class Budget:
    """How much the graph and the constants of a file may still grow. name: of the file. size: in bytes."""

    name: str
    size: int
    nodes: int = 0
    entries: int = 0
    constant_bytes: int = 0
    work: int = 0

    def admit(self, what: str, shape: tuple[int, ...]) -> None:
        """Refuse a value that is too large; `what` says whose it is. Raises ModelFileError, as all methods here do."""
        if prod(shape) > VALUE_ENTRIES:
            refuse(self.name, f"{what} makes {_count(prod(shape))} entries, more than 2^24 of one value")
        if len(shape) > RANK:
            refuse(self.name, f"{what} makes a value of {len(shape)} axes, more than {RANK}")

    def add_node(self, what: str, shape: tuple[int, ...]) -> None:
        """Count a node before it is made."""
        self.admit(what, shape)
        self.nodes += 1
        self.entries += prod(shape)
        if self.nodes > NODES:
            refuse(self.name, f"its graph has more than {NODES:,} nodes")
        if self.entries > GRAPH_ENTRIES:
            refuse(self.name, f"its values have more than {GRAPH_ENTRIES:,} entries together")

    def add_constant(self, size: int) -> None:
        """Count the bytes of a constant that is not one of the file's own tensors."""
        self.constant_bytes += size
        if self.constant_bytes > allowance(self.size):
            refuse(
                self.name,
                f"the constants that are computed from it come to {_count(self.constant_bytes)} bytes, far more than "
                "it holds",
            )

    def add_work(self, multiplications: int) -> None:
        """Count what computing a constant or a value takes, before it is computed."""
        self.work += multiplications
        if self.work > WORK + REUSE * self.size:
            refuse(self.name, f"it takes {_count(self.work)} multiplications, far more than its size suggests")


def _count(number: int) -> str:
    """A number in a few characters, however many digits it has."""
    return f"{number:,}" if number < 10**12 else "more than 10^12"
