"""`load_onnx`: from a file to a network that is ready to be compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from autodual.errors import InvalidInputError, ModelFileError, UnsupportedOpsError
from autodual.frontend.onnx.against_runtime import compare
from autodual.frontend.onnx.batch import Mixing, batch_size, for_one_sample
from autodual.frontend.onnx.file_limits import Budget
from autodual.frontend.onnx.held_tensors import Tensors
from autodual.frontend.onnx.lowering import OnnxInput, OnnxLowering
from autodual.frontend.onnx.model_file import OnnxFile, dtype_of, read_model
from autodual.frontend.onnx.network import OnnxNetwork
from autodual.frontend.traced_network import TracedNetwork
from autodual.frontend.weights import require_finite
from autodual.ir import Graph


def load_onnx(
    path: str | PathLike[str],
    *,
    output: str | int | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    check: bool = True,
) -> OnnxNetwork:
    """The network in an `.onnx` file (or `.onnx.gz`), on the CPU and in evaluation mode.

    Weights that it keeps in other files are read from its own folder; `network.files` lists these.

    Args:
        path: the file; nothing in it is executed.
        output: the name of the output wanted, or its place counted from 0, if the network has several.
        shapes: by name, shapes of inputs instead of the file's; extents that the file leaves open are 1 otherwise.
        check: compare the network with onnxruntime (or onnx' reference implementation) on a few inputs; how well they
            agree is reported as `network.agreement`.

    Raises:
        ModelFileError: the file is missing, damaged or not an ONNX model, it names weights outside its folder or asks
            for more than any network needs, or onnx is not installed.
        InvalidInputError: a weight holds NaN or infinity, or there is no such output.
        UnsupportedOpsError: some operators have no rule; it lists them all.
        TraceError: the network does not compute what ONNX' own arithmetic computes.

    Example:
        >>> import autodual, torch
        >>> x = torch.rand(1, 4)
        >>> torch.onnx.export(torch.nn.Linear(4, 3), (x,), "linear.onnx", dynamo=False)
        >>> autodual.compile_dual(autodual.load_onnx("linear.onnx")).outputs(x).shape
        torch.Size([1, 3])
    """
    place = Path(path)
    try:
        data = place.read_bytes()
    except FileNotFoundError:
        raise ModelFileError(f"There is no model file '{place}'.") from None
    except OSError as error:
        raise ModelFileError(f"The model file '{place}' cannot be read: {error.strerror}.") from None
    network = load_onnx_bytes(str(place), data, folder=place.parent, output=output, shapes=shapes, check=check)
    network.path = place
    return network


def load_onnx_bytes(
    name: str,
    data: bytes,
    *,
    folder: Path | None = None,
    output: str | int | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    check: bool = True,
) -> OnnxNetwork:
    """Like `load_onnx`, from the bytes of a file.

    Args:
        name: what messages call the file.
        data: its bytes; nothing in them is executed.
        folder: where it may keep weights in other files; without a folder it must keep none.
        output: the name of the output wanted, or its place counted from 0, if the network has several.
        shapes: by name, shapes of inputs instead of the file's; extents that the file leaves open are 1 otherwise.
        check: compare the network with onnxruntime (or onnx' reference implementation) on a few inputs.

    Returns:
        The network on the CPU, in evaluation mode.

    Raises:
        ModelFileError: the bytes are damaged or no ONNX model, name weights outside the folder or ask for more than any
            network needs, or onnx is not installed.
        InvalidInputError: a weight holds NaN or infinity, or there is no such output.
        UnsupportedOpsError: some operators have no rule; it lists them all.
        TraceError: the network does not compute what ONNX' own arithmetic computes.

    Example:
        >>> import io, torch
        >>> from autodual.frontend.onnx import load_onnx_bytes
        >>> file = io.BytesIO()
        >>> torch.onnx.export(torch.nn.Linear(4, 3), (torch.rand(1, 4),), file, dynamo=False)
        >>> load_onnx_bytes("linear", file.getvalue()).output_shape
        (3,)
    """
    file = read_model(name, data, folder)
    chosen = _chosen_output(file, output)
    inputs = _inputs(file, dict(shapes or {}))
    network = _network(file, inputs, chosen).eval()
    network.files = file.files
    network.input_types = tuple(str(entry.dtype) for entry in inputs)
    network.output_type = next(str(dtype_of(name, one)) for one in file.model.graph.output if one.name == chosen)
    for traced in map(TracedNetwork, filter(None, (network.graph, network.single))):
        find = traced.lookup(network)
        require_finite({name: find(name) for name in traced.finite_names})
    if check:
        network.agreement = compare(file, network)
    return network


def _network(file: OnnxFile, inputs: Sequence[OnnxInput], output: str) -> OnnxNetwork:
    """The network of whole input tensors, and of the samples in them where these do not influence each other.

    Of a large batch, whole tensors may ask for more than the budget though one sample does not; then it is of samples.
    """
    names, shapes = tuple(entry.name for entry in inputs), tuple(entry.shape for entry in inputs)
    lowering = OnnxLowering(file)
    try:
        graph, _ = lowering.run(inputs, output)
    except ModelFileError:
        tensors = Tensors(Budget(file.name, file.size))
        alone = _single(file, inputs, output, tensors)
        if not isinstance(alone, Graph):
            raise
        return OnnxNetwork(alone, tensors.holder, names, output, shapes)
    single = _single(file, inputs, output, lowering.tensors)
    return OnnxNetwork(graph, lowering.tensors.holder, names, output, shapes, single)


def _single(file: OnnxFile, inputs: Sequence[OnnxInput], output: str, tensors: Tensors) -> Graph | str | None:
    """The graph of one of the samples that the inputs hold, or why there is none; None where they hold one anyway."""
    shapes = {entry.name: entry.shape for entry in inputs}
    if batch_size(tuple(shapes.values())) is None:
        return None
    try:
        model = for_one_sample(file, shapes, {entry.name: entry.dtype for entry in inputs}, output)
        alone = [replace(entry, shape=(1, *entry.shape[1:])) for entry in inputs]
        graph, _ = OnnxLowering(replace(file, model=model), tensors).run(alone, output)
    except Mixing as reason:
        return str(reason)
    except UnsupportedOpsError:
        return "its operators have no rules for one sample"
    return graph


def _chosen_output(file: OnnxFile, output: str | int | None) -> str:
    names = [entry.name for entry in file.model.graph.output]
    if isinstance(output, int) and 0 <= output < len(names):
        return names[output]
    if output is None and len(names) == 1:
        return names[0]
    if isinstance(output, str) and output in names:
        return output
    listed = ", ".join(f"'{entry}'" for entry in names) or "none"
    wanted = "say which one with output=" if output is None else f"'{output}' is not among them"
    raise InvalidInputError(f"'{file.name}' has the outputs {listed}; {wanted}.")


def _inputs(file: OnnxFile, shapes: dict[str, Sequence[int]]) -> tuple[OnnxInput, ...]:
    """The inputs that are not weights, with their shapes."""
    name, model = file.name, file.model
    weights = {tensor.name for tensor in model.graph.initializer}
    found = []
    for entry in model.graph.input:
        if entry.name in weights:
            continue
        tensor = entry.type.tensor_type
        if not entry.type.HasField("tensor_type") or not tensor.elem_type:
            raise ModelFileError(f"'{name}' has the input '{entry.name}', which is not a tensor.")
        dtype = dtype_of(name, entry)
        if dtype.kind != "f":
            raise ModelFileError(
                f"'{name}' has the input '{entry.name}' of type {dtype}; bounds exist for floating inputs only."
            )
        if entry.name in shapes:
            shape = tuple(int(extent) for extent in shapes.pop(entry.name))
        elif not tensor.HasField("shape"):
            raise InvalidInputError(
                f"'{name}' does not state the shape of its input '{entry.name}'; give it in shapes=."
            )
        else:
            # Some exporters write 0 or -1 for an extent that they leave open.
            shape = tuple(max(d.dim_value, 1) if d.HasField("dim_value") else 1 for d in tensor.shape.dim)
        if min(shape, default=1) < 1:
            raise InvalidInputError(f"the input '{entry.name}' of '{name}' would have the shape {list(shape)}.")
        found.append(OnnxInput(entry.name, shape, dtype))
    if shapes:
        raise InvalidInputError(f"'{name}' has no input '{next(iter(shapes))}'.")
    if not found:
        raise ModelFileError(f"'{name}' has no input, so there is nothing to bound.")
    return tuple(found)
