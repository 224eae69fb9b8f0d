"""The loaded network against ONNX' own arithmetic on a few inputs: the last word on whether loading went right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from autodual.errors import TraceError
from autodual.frontend.onnx.reading import dtype_of
from autodual.frontend.onnx.runtime import find_runtime
from autodual.ir.ops import Cast

if TYPE_CHECKING:
    import onnx

    from autodual.frontend.onnx.network import OnnxNetwork

TOLERANCE = 1e-4
_HALF_TOLERANCE = 1e-2

Runner = Callable[[Sequence[np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Agreement:
    """How well a network agreed with an ONNX runtime.

    `error` is the largest difference of an output over the largest output, on the `samples` inputs that were compared
    (`excused` more differed, in a network with jumps, where rounding may decide); `tolerance` is what was allowed:
    1e-4, or up to 1e-2 where rounding alone moves the outputs that far, or where the file computes in half precision.
    """

    runtime: str
    samples: int
    error: float
    tolerance: float
    excused: int = 0


def compare(name: str, model: onnx.ModelProto, network: OnnxNetwork) -> Agreement:
    """Compare the network with onnxruntime, or with onnx' reference implementation where that is not installed.

    Raises:
        TraceError: they differ beyond rounding, yield nothing finite, or the file runs in neither.
    """
    runtime, run = _runner(name, model, network.output_name)
    ends = (*model.graph.input, *model.graph.output)
    narrowest = min((dtype_of(name, end).itemsize for end in ends if end.type.tensor_type.elem_type), default=4)
    half = narrowest < 4 or any(isinstance(node.op, Cast) and node.op.to.itemsize < 4 for node in network.graph)
    tolerance = _HALF_TOLERANCE if half else TOLERANCE
    expected, found, rounding = [], [], 0.0
    for arrays in _inputs(network.onnx_shapes):
        try:
            reference = np.asarray(run(arrays))
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise TraceError(f"'{name}' does not run in {runtime}: {reason}") from None
        mine, precise = (_outputs(network, arrays, dtype) for dtype in (torch.float32, torch.float64))
        rounding = max(rounding, float(np.nan_to_num(np.abs(mine - precise), posinf=0.0).max(initial=0.0)))
        if reference.size != mine.size:
            raise TraceError(
                f"'{name}' yields outputs of shape {list(reference.shape)} in {runtime}, but its graph "
                f"{list(mine.shape)}; this is a fault of autodual's ONNX lowering, please report it."
            )
        expected.append(reference.reshape(-1).astype(np.float64))
        found.append(mine if narrowest < 8 else precise)
    return _judged(
        name, runtime, np.stack(expected), np.stack(found), tolerance, rounding, not network.graph.continuous
    )


def _outputs(network: OnnxNetwork, arrays: Sequence[np.ndarray], dtype: torch.dtype) -> np.ndarray:
    """The network's output for one sample, flat, computed in a dtype and returned in float64."""
    samples = [
        torch.from_numpy(array).reshape(1, *shape).to(dtype)
        for array, shape in zip(arrays, network.input_shapes, strict=True)
    ]
    with torch.no_grad():
        return network(*samples).double().numpy().reshape(-1)


def _judged(
    name: str,
    runtime: str,
    expected: np.ndarray,
    found: np.ndarray,
    tolerance: float,
    rounding: float,
    jumps: bool,
) -> Agreement:
    """Whether outputs `[inputs, outputs]` agree; `rounding`: how far rounding to float32 moves an output here."""
    finite = np.isfinite(expected)
    if not finite.any():
        raise TraceError(f"'{name}' yields NaN or infinity on random inputs; no bound exists for such outputs.")
    scale = float(np.abs(expected[finite]).max()) or 1.0
    with np.errstate(invalid="ignore"):
        gaps = np.where(finite, np.abs(found - expected) / scale, 0.0)
    gaps = np.where(finite & ~np.isfinite(found), np.inf, gaps)
    worst = gaps.max(axis=1)
    allowed = tolerance if jumps else min(max(tolerance, 10 * rounding / scale), _HALF_TOLERANCE)
    agreed = worst <= allowed
    # Where a network jumps, rounding may decide on which side an input falls; most inputs must agree all the same.
    if not agreed.all() and not (jumps and agreed.sum() >= len(agreed) / 2):
        raise TraceError(
            f"The graph of '{name}' differs from {runtime} by {worst.max():.3g} of its largest output on random "
            "inputs; this is a fault of autodual's ONNX lowering, please report it."
        )
    return Agreement(runtime, int(agreed.sum()), float(worst[agreed].max()), allowed, int((~agreed).sum()))


def _inputs(shapes: Sequence[tuple[int, ...]]) -> list[list[np.ndarray]]:
    """Zeros, bright and mostly dark images with pixels between 0 and 1, large and small normal numbers."""
    generator = np.random.default_rng(0)
    draws: list[Callable[[tuple[int, ...]], np.ndarray]] = [
        np.zeros,
        generator.random,
        lambda shape: generator.random(shape) * (generator.random(shape) < 0.2),
        generator.standard_normal,
        lambda shape: 0.1 * generator.standard_normal(shape),
    ]
    return [[np.asarray(draw(shape), dtype=np.float32).reshape(shape) for shape in shapes] for draw in draws]


def _runner(name: str, model: onnx.ModelProto, output: str) -> tuple[str, Runner]:
    """The name of the best runtime there is, and the model's output in it."""
    given = {tensor.name for tensor in model.graph.initializer}
    entries = [entry for entry in model.graph.input if entry.name not in given]
    kinds = [dtype_of(name, entry) for entry in entries]
    names = [entry.name for entry in entries]
    try:
        found, run = find_runtime(model, [output])
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TraceError(f"'{name}' cannot be checked, because no runtime reads it: {reason}.") from None

    def first(arrays: Sequence[np.ndarray]) -> np.ndarray:
        return run({key: array.astype(kind) for key, array, kind in zip(names, arrays, kinds, strict=True)})[0]

    return found, first
