"""Python identifiers for ONNX names, which may be any text."""

from __future__ import annotations

import re

STANDARD = ("", "ai.onnx")
"""The two names of the domain of standard operators."""


def legal_name(name: str, fallback: str) -> str:
    """A Python identifier close to an ONNX name: `/layers/0/Conv` becomes `layers_0_Conv`."""
    name = re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_")
    return (f"{fallback}_{name}" if name and name[0].isdigit() else name) or fallback
