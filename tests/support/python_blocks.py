"""Runs the Python blocks of a Markdown document, so that its examples stay correct."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def python_blocks(document: Path) -> list[str]:
    """The document's fenced Python blocks, padded by empty lines, so that tracebacks show the right line numbers."""
    text = document.read_text(encoding="utf-8")
    return ["\n" * text.count("\n", 0, match.start(1)) + match[1] for match in _BLOCK.finditer(text)]


def run_blocks(document: Path) -> dict[str, Any]:
    """Run all blocks in order in one namespace, which is returned."""
    namespace: dict[str, Any] = {"__name__": document.stem}
    for block in python_blocks(document):
        # Do not inherit this module's `from __future__`, which readers of the document do not have.
        exec(compile(block, str(document), "exec", dont_inherit=True), namespace)
    return namespace
