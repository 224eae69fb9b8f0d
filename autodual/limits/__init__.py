"""Budgets for what files may claim, and reading within them; start here before trusting a file."""

from autodual.limits.bounded_reading import open_file, read_file
from autodual.limits.budgets import (
    ACTIVATIONS,
    FILE,
    LAYERS,
    MEMORY,
    NESTING,
    OBJECTS,
    TEXT,
    VARIABLE,
    WORK,
    Budget,
    factor,
    in_bytes,
)
from autodual.limits.documents import parse_json

__all__ = [
    "ACTIVATIONS",
    "FILE",
    "LAYERS",
    "MEMORY",
    "NESTING",
    "OBJECTS",
    "TEXT",
    "VARIABLE",
    "WORK",
    "Budget",
    "factor",
    "in_bytes",
    "open_file",
    "parse_json",
    "read_file",
]
