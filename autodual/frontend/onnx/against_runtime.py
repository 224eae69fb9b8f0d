"""Checks a loaded network: on a few inputs it must compute what an ONNX runtime computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from autodual.errors import TraceError, reason_of
from autodual.frontend.onnx.agreement import Agreement
from autodual.frontend.onnx.model_file import OnnxFile, dtype_of
from autodual.frontend.onnx.network import OnnxNetwork
from autodual.frontend.onnx.runtime import Runtime, find_runtime
from autodual.ir.ops import Cast

TOLERANCE = 1e-4
_HALF_TOLERANCE = 1e-2


def compare(file: OnnxFile, network: OnnxNetwork) -> Agreement:
    """Compare the network with onnxruntime, or with onnx' reference implementation where that is not installed.

    onnxruntime runs the file itself, with the functions that it brings along.

    Raises:
        TraceError: they differ beyond rounding, yield nothing finite, or the file runs in neither.
    """
    name, runtime = file.name, _runtime(file, network.output_name)
    ends = (*file.model.graph.input, *file.model.graph.output)
    narrowest = min((dtype_of(name, end).itemsize for end in ends if end.type.tensor_type.elem_type), default=4)
    half = narrowest < 4 or any(isinstance(node.op, Cast) and node.op.to.itemsize < 4 for node in network.graph)
    tolerance = _HALF_TOLERANCE if half else TOLERANCE
    run = _runner(file, runtime)
    drawn = list(_inputs(network.onnx_shapes))
    references = [run(arrays) for arrays in drawn]

    def judged(shapes: Sequence[tuple[int, ...]]) -> Agreement:
        """The network on tensors of the file, seen as batches of samples of these shapes."""
        found, rounding = [], 0.0
        for arrays, reference in zip(drawn, references, strict=True):
            mine, precise = (_outputs(name, network, arrays, shapes, dtype) for dtype in (torch.float32, torch.float64))
            with np.errstate(invalid="ignore"):
                rounding = max(rounding, float(np.nan_to_num(np.abs(mine - precise), posinf=0.0).max(initial=0.0)))
            if reference.size != mine.size:
                raise TraceError(
                    f"'{name}' yields outputs of shape {list(reference.shape)} in {runtime.name}, but its graph "
                    f"{list(network.output_shape)}; {_blame(runtime)}."
                )
            found.append(mine if narrowest < 8 else precise)
        expected = np.stack([reference.reshape(-1).astype(np.float64) for reference in references])
        return _judged(name, runtime, expected, np.stack(found), tolerance, rounding, not network.graph.continuous)

    whole = judged(network.input_shapes)
    if network.single_shapes:
        judged(network.single_shapes)
    return whole


def _blame(runtime: Runtime) -> str:
    """Where to look for the fault: only onnxruntime is trusted to be right."""
    if runtime.decides:
        return "this is a fault of autodual's ONNX lowering, please report it"
    return (
        "which of the two is right is not known, since that implementation has faults of its own; onnxruntime decides "
        "it where it is installed (pip install onnxruntime) and reads the file"
    )


def _outputs(
    name: str,
    network: OnnxNetwork,
    arrays: Sequence[np.ndarray],
    shapes: Sequence[tuple[int, ...]],
    dtype: torch.dtype,
) -> np.ndarray:
    """The network's outputs, flat, for the samples of these shapes in the arrays, computed in a dtype."""
    samples = [
        torch.from_numpy(array).reshape(-1, *shape).to(dtype) for array, shape in zip(arrays, shapes, strict=True)
    ]
    try:
        with torch.no_grad():
            return network(*samples).double().numpy().reshape(-1)
    except RuntimeError as error:
        raise TraceError(f"The graph of '{name}' cannot be evaluated: {reason_of(error)}.") from None


def _judged(
    name: str,
    runtime: Runtime,
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
    # Where a network jumps, rounding may decide on which side of the jump an input falls. Most inputs must agree still.
    if not agreed.all() and not (jumps and agreed.sum() >= len(agreed) / 2):
        raise TraceError(
            f"The graph of '{name}' differs from {runtime.name} by {worst.max():.3g} of its largest output on random "
            f"inputs; {_blame(runtime)}."
        )
    return Agreement(runtime.name, int(agreed.sum()), float(worst[agreed].max()), allowed, int((~agreed).sum()))


def _inputs(shapes: Sequence[tuple[int, ...]]) -> Iterator[list[np.ndarray]]:
    """Inputs to compare on: zeros, bright and mostly dark images in [0, 1], normal numbers of deviation 1 and 0.1."""
    generator = np.random.default_rng(0)
    draws: list[Callable[[tuple[int, ...]], np.ndarray]] = [
        np.zeros,
        generator.random,
        lambda shape: generator.random(shape) * (generator.random(shape) < 0.2),
        generator.standard_normal,
        lambda shape: 0.1 * generator.standard_normal(shape),
    ]
    for draw in draws:
        yield [np.asarray(draw(shape), dtype=np.float32).reshape(shape) for shape in shapes]


def _runtime(file: OnnxFile, output: str) -> Runtime:
    """onnxruntime if it is installed and reads the file, else onnx' reference implementation."""
    try:
        return find_runtime(file.model, [output], file.runnable(output))
    except Exception as error:
        raise TraceError(f"'{file.name}' cannot be checked, because no runtime reads it: {reason_of(error)}.") from None


def _runner(file: OnnxFile, runtime: Runtime) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    """A function from inputs, in the order of the file's, to the output of a runtime."""
    given = {tensor.name for tensor in file.model.graph.initializer}
    entries = [entry for entry in file.model.graph.input if entry.name not in given]
    kinds = {entry.name: dtype_of(file.name, entry) for entry in entries}

    def run(arrays: Sequence[np.ndarray]) -> np.ndarray:
        try:
            feeds = {key: array.astype(kind) for (key, kind), array in zip(kinds.items(), arrays, strict=True)}
            return np.asarray(runtime.run(feeds)[0])
        except Exception as error:
            remedy = "" if runtime.decides else "; onnxruntime may, where it is installed (pip install onnxruntime)"
            raise TraceError(f"'{file.name}' does not run in {runtime.name}: {reason_of(error)}{remedy}.") from None

    return run
