"""ONNX files that claim far more than they hold, contradict themselves, or point where they must not.

`CASES` maps a name to a writer, `writer(path)`, which makes the file and whatever lies beside it. Every file must be
refused in one sentence, or load, within the time and memory that an honest small file may take.
"""

from __future__ import annotations

from support.hostile_onnx import external, functions, graphs, raw, sizes, tensors  # noqa: F401 - they register cases
from support.hostile_onnx.building import CASES, model, node
from support.hostile_onnx.raw import damaged

__all__ = ["CASES", "damaged", "model", "node"]
