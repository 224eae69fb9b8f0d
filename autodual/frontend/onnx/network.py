"""An ONNX network as a PyTorch module, whose graph is known without tracing."""

from __future__ import annotations

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
    and so does its output. Weights that the file stores as they are used are parameters, all other constants buffers.

    Attributes:
        graph: the network on one sample; `input_shapes` and `output_shape` are those of one sample.
        input_names, output_name: what the file calls them.
        path: the file, if it came from one; `files`: others that it keeps weights in, with their SHA-256.
        agreement: how the module was compared with ONNX' own arithmetic at load; None if it was not.
    """

    path: Path | None
    files: tuple[ExternalFile, ...]
    agreement: Agreement | None

    def __init__(
        self,
        graph: Graph,
        tensors: nn.Module,
        input_names: tuple[str, ...],
        output_name: str,
        onnx_shapes: tuple[tuple[int, ...], ...],
    ):
        super().__init__()
        self.graph = graph
        self.add_module(HOLDER, tensors)
        self.input_names = input_names
        self.output_name = output_name
        self.onnx_shapes = onnx_shapes
        self.path = None
        self.files = ()
        self.agreement = None

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple(self.graph[name].shape for name in self.graph.inputs)

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.graph[self.graph.outputs[0]].shape

    def traced_network(self) -> TracedNetwork:
        """The graph with the names of this module's parameters and buffers, which `compile_dual` uses."""
        return TracedNetwork(self.graph)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The network's output `[N, *shape]` for N samples `[N, *shape]` of each input.

        Raises:
            InvalidInputError: an input is missing, is not floating or has a wrong shape.
        """
        if len(inputs) != len(self.graph.inputs):
            raise InvalidInputError(f"the network takes {len(self.graph.inputs)} input(s), but got {len(inputs)}")
        for name, value, shape in zip(self.input_names, inputs, self.input_shapes, strict=True):
            if tuple(value.shape[1:]) != shape or not value.is_floating_point() or value.dim() < 1:
                raise InvalidInputError(
                    f"the network's input '{name}' takes floating samples of the shape {list(shape)}, in a batch "
                    f"[N, *shape]; got {value.dtype} {list(value.shape)}{_written_batch(value, shape)}"
                )
        lookup = TracedNetwork(self.graph).lookup(self)
        values = self.graph.evaluate(inputs, Environment(lookup, inputs[0].dtype, inputs[0].device))
        output = values[self.graph.outputs[0]]
        return output.expand(inputs[0].shape[0], *output.shape[1:])


def _written_batch(value: Tensor, shape: tuple[int, ...]) -> str:
    """Advice for a file into whose first axis a batch size is written; empty where the shapes differ otherwise."""
    if not shape or tuple(value.shape[1:]) != shape[1:]:
        return ""
    return (
        f". If the file's first axis counts samples, the batch size {shape[0]} is written into it: export the network "
        "with one sample, x[:1], or with a free batch axis (torch.onnx.export(…, dynamic_shapes=({0: "
        "torch.export.Dim('batch')},)))"
    )
