"""The documents list every operator that has a rule."""

from __future__ import annotations

import re
from pathlib import Path

from autodual.frontend.onnx.registry import registered


def test_every_operator_is_documented() -> None:
    words = set(re.findall(r"\w+", (Path(__file__).parents[3] / "docs" / "onnx.md").read_text(encoding="utf-8")))
    missing = sorted(name for domain, name in registered() if not domain and name not in words)
    assert not missing
