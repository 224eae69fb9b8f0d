"""Translates messages of the library, which name Python's arguments, to the options of the command line."""

from __future__ import annotations

import re

_OPTIONS = (
    (r"factory='([^']*)'", r"--arch \1"),
    (r"factory=", "--arch"),
    (r"unsafe=True", "--unsafe-load"),
    (r"load_cascade\b", "--cascade"),
    (r"output=(\d+)", r"--output-index \1"),
    (r"output=", "--output-index"),
    (r"memory_budget=", "--memory"),
    (r"directory=", "--data-dir"),
    (r"(mean|std)=", r"--\1"),
    (r"import the module that registers it", "name the file that registers it: autodual --extension FILE.py"),
)


def in_options(message: str) -> str:
    """A message with the options of the command line in place of the arguments that they set."""
    for argument, option in _OPTIONS:
        message = re.sub(rf"(?<![\w.]){argument}", option, message)
    return message
