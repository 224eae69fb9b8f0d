"""Checks that the model still computes what was compiled, once a call, at the samples to be certified."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.errors import CaptureError, ModelChangedError
from autodual.frontend.torch.source import first_line
from autodual.frontend.torch.tracing.comparison import Comparison, Network, run_in, running, widest_run
from autodual.frontend.torch.tracing.state import inference
from autodual.ir import Graph
from autodual.network import DualNetwork
from autodual.requirements import checking

# Points near one where a network jumps: their distance, relative to the sample's size, and their number.
_STEP, _TRIES = 1e-3, 4
# Size of the batch that every model has accepted when it was compiled.
_RUN = 3


def require_same_network(dual: DualNetwork, x: Tensor) -> None:
    """Raise ModelChangedError unless the model, in inference mode, computes at x `[N, *shape]` what its graph computes.

    Both run in float64, with the constants of the dtype that the model was traced in. Where that says no, the model
    runs in float32 too, which shows how far rounding moves it. Of a program that takes batches of one size only the
    first is compared. Raises CaptureError while a graph is captured, since values tell then neither this nor what is
    certified.
    """
    if not checking():
        raise CaptureError(
            "certificates and radii come of values, and a graph that is being captured has none yet: call this outside "
            "of autodual.capture, and capture bounds such as dual.margins(...)"
        )
    compiled = dual.compiled(x)
    traced, graph = compiled.traced, compiled.plan.graph
    if traced is None:
        return
    own = {**dict(dual.model.named_parameters()), **dict(dual.model.named_buffers())}
    device = next((tensor.device for tensor in own.values()), x.device)
    tensors = _converted({**own, **dual.tensors(compiled)}, traced.dtype)
    least, most = traced.batches
    pair = _Pair(graph, running(dual.model, traced.output), tensors, least)
    fitting = compiled.plan.options.memory_budget // (8 * sum(node.size for node in graph))
    parts = x.detach().to(device, traced.dtype).split(max(least, min(most or fitting, fitting), 1))
    with inference(dual.model):
        for part in parts[:1] if least == most else parts:
            difference = pair.difference(part)
            if difference:
                raise ModelChangedError(
                    f"the model is not the one that was compiled: it {difference}; compile it again with compile_dual, "
                    "as after any change but of the values of parameters and buffers"
                )


def _converted(tensors: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """A model's tensors as in the dtype that it was traced in, where it has been converted to another one since."""
    present = next((tensor.dtype for tensor in tensors.values() if tensor.is_floating_point()), dtype)
    return {name: tensor.to(dtype) if tensor.dtype == present else tensor for name, tensor in tensors.items()}


@dataclass(frozen=True, eq=False)
class _Pair:
    """A graph and the model that it was made of; `least`: the smallest batch that this takes."""

    graph: Graph
    network: Network
    tensors: Mapping[str, Tensor]
    least: int

    def difference(self, x: Tensor) -> str:
        """How the model differs at x `[N, *shape]`, in words; empty where it does not."""
        try:
            found = self._compared(x)
            if found.agree or self._agree_nearby(x, found):
                return ""
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # the model is the user's code; after changes it may not run at all
            if len(x) > _RUN:
                return next(filter(None, map(self.difference, x.split(_RUN))), "")
            return f"does not run any more ({first_line(error)})"
        if found.result.shape != found.expected.shape:
            shapes = [list(value.shape[1:]) for value in (found.expected, found.result)]
            return f"returns {shapes[0]} a sample, and its graph {shapes[1]}"
        return f"returns outputs that differ from those of its graph by {found.worst:.3g}"

    def _compared(self, x: Tensor) -> Comparison:
        index = torch.arange(max(len(x), self.least), device=x.device).clamp(max=len(x) - 1)
        run = widest_run(self.network, self.tensors, [x[index]])
        found = Comparison.of(self.graph, run)
        if found.agree or run.dtype != torch.float64 or x.dtype == torch.float64:
            return found
        single = run_in(torch.float32, self.network, self.tensors, [x[index]])
        again = Comparison.in_doubt(self.graph, single)
        return again if again.agree else found

    def _agree_nearby(self, x: Tensor, found: Comparison) -> bool:
        """Whether a sample where the two differ lies at a jump, where rounding decides: around it they mostly agree."""
        if self.graph.continuous or found.result.shape != found.expected.shape:
            return False
        some = x[found.differing[: len(x)].nonzero().squeeze(1)]
        generator, agreeing = torch.Generator(x.device).manual_seed(0), 0
        for _ in range(_TRIES):
            noise = torch.randn(some.shape, generator=generator, device=x.device, dtype=torch.float64)
            near = some.double() + _STEP * float(some.abs().max()) * noise
            agreeing += int((~self._compared(near.to(x.dtype)).differing[: len(some)]).sum())
        return 2 * agreeing >= _TRIES * len(some)
