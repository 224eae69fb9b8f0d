"""Python identifiers for ONNX names, which may be any text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

STANDARD = ("", "ai.onnx")
"""The two names of the domain of standard operators."""
SHOWN = 100
"""Characters of a name that messages show."""


def legal_name(name: str, fallback: str) -> str:
    """A Python identifier close to an ONNX name: `/layers/0/Conv` becomes `layers_0_Conv`."""
    name = re.sub(r"[^0-9A-Za-z]+", "_", name).strip("_")
    return (f"{fallback}_{name}" if name and name[0].isdigit() else name) or fallback


def called(node: onnx.NodeProto) -> str:
    """How an operator is named to a person."""
    name = node.name or next(iter(node.output), "")
    return f"'{name[:SHOWN]}'"


def titled(node: onnx.NodeProto) -> str:
    """What kind of operator it is."""
    return (node.op_type if node.domain in STANDARD else f"{node.domain}.{node.op_type}")[:SHOWN]
