"""An ONNX network as a PyTorch module, whose graph is known without tracing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from autodual.errors import InvalidInputError
from autodual.frontend.onnx.agreement import Agreement
from autodual.frontend.onnx.external import ExternalFile
from autodual.frontend.onnx.held_tensors import HOLDER
from autodual.frontend.traced_network import TracedNetwork
from autodual.ir import Environment, Graph


class OnnxNetwork(nn.Module):
    """Runs the graph of an ONNX file on batches, differentiably, in the dtype of its inputs.

    One sample is one input tensor of the file; where that has a leading axis of extent 1, the sample does without it,
    and so does its output. Where that axis counts a fixed number of samples that do not influence each other, the
    network also takes batches `[N, *shape]` of these, of any N. Weights that the file stores as they are used are
    parameters, all other constants buffers.

    Attributes:
        graph: the network on one input tensor; `input_shapes` and `output_shape` are those that its nodes have.
        single: the network on one of the samples that a tensor holds, or None; `not_single` says why there is none.
        input_names, output_name: what the file calls them.
        path: the file, if it came from one; `files`: others that it keeps weights in, with their SHA-256.
        input_types, output_type: the types of the file's inputs and output, such as float32.
        agreement: how the module was compared with ONNX' own arithmetic at load; None if it was not.
    """

    path: Path | None
    files: tuple[ExternalFile, ...]
    agreement: Agreement | None
    input_types: tuple[str, ...]
    output_type: str

    def __init__(
        self,
        graph: Graph,
        tensors: nn.Module,
        input_names: tuple[str, ...],
        output_name: str,
        onnx_shapes: tuple[tuple[int, ...], ...],
        single: Graph | str | None = None,
    ):
        super().__init__()
        self.graph = graph
        self.add_module(HOLDER, tensors)
        self.input_names = input_names
        self.output_name = output_name
        self.onnx_shapes = onnx_shapes
        self.single = single if isinstance(single, Graph) else None
        self.not_single = single if isinstance(single, str) else ""
        self.path = None
        self.files = ()
        self.agreement = None

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return _input_shapes(self.graph)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.graph[self.graph.outputs[0]].shape

    @property
    def single_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of one of the samples that the input tensors hold; empty unless the file is of a fixed batch."""
        return () if self.single is None else _input_shapes(self.single)

    def traced_network(self, shapes: Sequence[Sequence[int]] | None = None) -> TracedNetwork:
        """The graph with the names of this module's parameters and buffers, which `compile_dual` uses.

        shapes: those of one sample of each input, which say whether it is all or one of those that a tensor holds.

        Raises:
            InvalidInputError: they are of one of those that a tensor holds, but the network has no graph of one.
        """
        wanted = self.input_shapes if shapes is None else tuple(map(tuple, shapes))
        if self.single is not None and wanted == self.single_shapes:
            return TracedNetwork(self.single)
        if wanted != self.input_shapes and wanted == tuple(shape[1:] for shape in self.input_shapes):
            raise InvalidInputError(self._written_batch())
        return TracedNetwork(self.graph)

    def _written_batch(self) -> str:
        """What to do where samples fit but for the file's first axis, which then counts them."""
        shapes = " and ".join(str(list(shape)) for shape in self.input_shapes)
        reason = f", and {self.not_single}" if self.not_single else ""
        return (
            f"the network takes samples of the shape {shapes}; if the file's first axis counts samples, the batch size "
            f"{self.input_shapes[0][0]} is written into it{reason}: export the network with one sample, x[:1], or with "
            "a free batch axis (torch.onnx.export(…, dynamic_shapes=({0: torch.export.Dim('batch')},)))"
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """The network's output `[N, *shape]` for N samples `[N, *shape]` of each input.

        Gradients are those of ops' surrogates (`Op.surrogate`), where steps or quantisers have none of their own.

        Raises:
            InvalidInputError: an input is missing, is not floating or has a wrong shape.
        """
        if len(inputs) != len(self.graph.inputs):
            raise InvalidInputError(f"the network takes {len(self.graph.inputs)} input(s), but got {len(inputs)}")
        graph = self.traced_network([value.shape[1:] for value in inputs]).graph
        for name, value, shape in zip(self.input_names, inputs, _input_shapes(graph), strict=True):
            if tuple(value.shape[1:]) != shape or not value.is_floating_point() or value.dim() < 1:
                raise InvalidInputError(
                    f"the network's input '{name}' takes floating samples of the shape {list(shape)}, in a batch "
                    f"[N, *shape]; got {value.dtype} {list(value.shape)}"
                )
        lookup = TracedNetwork(graph).lookup(self)
        values = graph.evaluate(inputs, Environment(lookup, inputs[0].dtype, inputs[0].device), surrogates=True)
        output = values[graph.outputs[0]]
        return output.expand(inputs[0].shape[0], *output.shape[1:])


def _input_shapes(graph: Graph) -> tuple[tuple[int, ...], ...]:
    return tuple(graph[name].shape for name in graph.inputs)
