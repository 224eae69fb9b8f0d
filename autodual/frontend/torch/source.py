"""Where in the user's code an operation, or a failure while tracing, comes from."""

from __future__ import annotations

import linecache
import re
import traceback
from pathlib import Path
from typing import Any

import torch
from torch import fx

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in [^\n]*\n\s*(?P<code>[^\n]*)')
_CALL_NUMBER = re.compile(r"@\d+")
_TORCH = str(Path(torch.__file__).parent)
_AUTODUAL = str(Path(__file__).parents[2])


def is_users(file: str) -> bool:
    """Whether a file is neither torch's (of this or another installation), nor ours, nor generated code."""
    return not (file.startswith(("<", _TORCH, _AUTODUAL)) or "/site-packages/torch/" in file.replace("\\", "/"))


def line_of(node: fx.Node) -> str:
    """The user's line that calls an operation, as `file:line: code`, or "" where torch recorded none."""
    frames = [frame for frame in _FRAME.finditer(node.meta.get("stack_trace") or "") if is_users(frame["file"])]
    return f"{frames[-1]['file']}:{frames[-1]['line']}: {frames[-1]['code'].strip()}" if frames else ""


def module_of(node: fx.Node) -> str:
    """The qualified name of the module that calls an operation; "" is the model itself."""
    stack: dict[str, tuple[str, Any]] = node.meta.get("nn_module_stack") or {}
    return _CALL_NUMBER.sub("", list(stack.values())[-1][0]) if stack else ""


def call_of(node: fx.Node) -> str:
    """The name of the exported call that an operation comes from, which decomposition may have taken apart."""
    origin = node.meta.get("from_node") or [node]
    return str(origin[0].name)


def line_of_failure(error: BaseException) -> str:
    """The user's line that raised, as `file:line: code`; a line of torch.nn if no line of the user's was involved."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [place for place, frame in enumerate(frames) if frame.filename.startswith(_AUTODUAL)]
    inner = frames[ours[-1] + 1 :] if ours else frames
    users = [frame for frame in inner if is_users(frame.filename)]
    modules = [frame for frame in inner if frame.filename.startswith(str(Path(_TORCH, "nn", "modules")))]
    return describe_frame((users or modules)[-1]) if users or modules else ""


def describe_frame(frame: traceback.FrameSummary) -> str:
    """`file:line: code`."""
    code = frame.line or linecache.getline(frame.filename, frame.lineno or 0)
    return f"{frame.filename}:{frame.lineno}: {code.strip()}"


def first_line(error: BaseException) -> str:
    """An error in one line: its type and the first line of what it says."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}"
