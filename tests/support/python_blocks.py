"""Runs the Python of a Markdown document, so that what it says stays true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def python_blocks(document: Path) -> list[str]:
    """The document's fenced Python blocks, each moved down to its own lines, so that tracebacks name them."""
    text = document.read_text(encoding="utf-8")
    return ["\n" * text.count("\n", 0, match.start(1)) + match[1] for match in _BLOCK.finditer(text)]


def run_blocks(document: Path) -> dict[str, Any]:
    """Run all blocks in order in one namespace, which is returned."""
    namespace: dict[str, Any] = {"__name__": document.stem}
    for block in python_blocks(document):
        # Not under this module's own `from __future__`: a document's reader has none.
        exec(compile(block, str(document), "exec", dont_inherit=True), namespace)
    return namespace
