"""`compile_dual`: trace a model, run the passes, wrap the plan in a dual network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from autodual.errors import InvalidInputError, TraceError
from autodual.frontend import KnowsItsGraph, TracedNetwork, lower_exported, trace, unwrapped
from autodual.frontend.torch.tracing.state import inference
from autodual.inputs import Samples, sample_tensor
from autodual.ir.expressions import Environment
from autodual.network import Compiled, DualNetwork, JoinedInputs
from autodual.passes import ChooseExecution, Observer, Pass, default_pipeline, run_passes
from autodual.passes.plan import Plan


def compile_dual(
    model: nn.Module | ExportedProgram,
    example_input: Samples | tuple[Samples, ...] | None = None,
    *,
    output: int | None = None,
    class_axis: int = 1,
    passes: Sequence[Pass] | None = None,
    memory_budget: int | None = None,
    observer: Observer | None = None,
) -> DualNetwork:
    """The dual network of a model, sharing its live parameters.

    Args:
        model: any `nn.Module`, an exported program, or what `load_model` and `load_onnx` return. It is not changed,
            whatever mode it is in.
        example_input: `[N, *shape]`, any N ≥ 1: trace now. Without it the model is traced at the first call, unless it
            knows its own inputs, as ONNX networks and exported programs do. For a model of several inputs, a tuple: the
            dual network is that of the joined inputs, and its `model` a `JoinedInputs`, whose `join` makes samples
            and whose `ball` makes sets.
        output: which of several outputs to bound, counted from 0 in flattened order; that of an ONNX network is chosen
            when it is loaded.
        class_axis: the axis of the outputs `[N, *shape]` that holds the classes: 1, as for cross-entropy, or -1 for
            sequences `[N, T, C]`. Only calls about classes use it.
        passes: in place of `default_pipeline()`.
        memory_budget: bytes for the rows in flight.
        observer: called as `observer(pass_name, plan)` after each pass.

    Raises:
        TraceError: the model cannot be traced, or its graph does not compute what the model computes.
        BatchMixingError: a sample's output depends on its batch.
        UnsupportedOpsError: some operations have no rule; it lists them all, with their lines of code.
        InvalidInputError: the example or an option does not fit.

    Example:
        >>> import autodual, torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
        >>> dual = autodual.compile_dual(model)
        >>> x = torch.rand(5, 4)
        >>> dual.lower_bounds(x, autodual.LinfBall(0.1), torch.eye(3)).shape
        torch.Size([5, 3])
    """
    steps = tuple(default_pipeline() if passes is None else passes)
    if memory_budget is not None:
        steps = tuple(
            replace(step, memory_budget=memory_budget) if isinstance(step, ChooseExecution) else step for step in steps
        )
    if isinstance(model, ExportedProgram):
        builder = _Builder(steps, observer, output, lower_exported(model, output=output))
        module: nn.Module = model.module()
    elif isinstance(model, nn.Module):
        builder = _Builder(steps, observer, output)
        module = unwrapped(model)
    else:
        raise InvalidInputError(f"compile_dual takes an nn.Module or an ExportedProgram, not {type(model).__name__}")
    if example_input is None:
        example_input = _own_example(module, builder.traced)
    if isinstance(example_input, (tuple, list)):
        example_input = tuple(sample_tensor(value, "example_input") for value in example_input)
        module = JoinedInputs(module, [value.shape[1:] for value in example_input])
        example_input = module.join(*example_input)
    dual = DualNetwork(module, builder, class_axis)
    if example_input is not None:
        dual.compiled(sample_tensor(example_input, "example_input"))
    return dual


@dataclass(frozen=True, eq=False)
class _Builder:
    """Traces and plans a model for one input shape; an exported program is already `traced`."""

    passes: tuple[Pass, ...]
    observer: Observer | None = None
    output: int | None = None
    traced: TracedNetwork | None = None

    def __call__(self, model: nn.Module, x: Tensor) -> Compiled:
        traced = self.traced or _traced(model, x, self.output)
        if len(traced.graph.inputs) != 1:
            raise InvalidInputError(
                f"the model takes {len(traced.graph.inputs)} inputs, but bounds are over a set around one; wrap it in "
                "a module that takes all inputs side by side in one tensor and splits it"
            )
        shape = traced.graph[traced.graph.inputs[0]].shape
        if shape != tuple(x.shape[1:]):
            axis = "; the batch axis is missing: x[None]" if shape == tuple(x.shape) else ""
            raise InvalidInputError(
                f"the model takes samples of the shape {list(shape)}, but got {list(x.shape[1:])}{axis}"
            )
        find = traced.lookup(model)
        environment = Environment(find, torch.float64, x.device)
        plan = Plan(traced.graph, environment=environment)
        with torch.no_grad():
            plan = run_passes(plan, self.passes, self.observer)
        shapes = {name: find(name).shape for name in traced.names if name not in traced.constants}
        return Compiled(replace(plan, environment=None), traced.constants, traced.graph, shapes, traced)


def _traced(model: nn.Module, x: Tensor, output: int | None) -> TracedNetwork:
    """The model's graph; if the example is a sample without a batch axis, the error says so."""
    example = _as_the_model_takes_it(model, x)
    try:
        return trace(model, example, output=output)
    except TraceError as error:
        if not _runs(model, torch.cat([example[:1]] * 2)) and _runs(model, example[None]):
            raise InvalidInputError(
                f"inputs must be batches [N, *shape], and the model takes {list(x.shape)} as one sample only: give it "
                "a batch axis, x[None] (or x.unsqueeze(0))"
            ) from error
        raise


def _runs(model: nn.Module, x: Tensor) -> bool:
    """Whether a model runs on a batch."""
    try:
        with inference(model):
            model(x)
    except Exception:  # the model is the user's code
        return False
    return True


def _own_example(module: nn.Module, traced: TracedNetwork | None) -> Tensor | tuple[Tensor, ...] | None:
    """A zero sample for each input of a model whose graph is known; None if the model must be traced."""
    if isinstance(module, KnowsItsGraph):
        traced = module.traced_network()
    if traced is None:
        return None
    device = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), None)
    zeros = tuple(torch.zeros(1, *traced.graph[name].shape, device=device) for name in traced.graph.inputs)
    return zeros[0] if len(zeros) == 1 else zeros


def _as_the_model_takes_it(model: nn.Module, x: Tensor) -> Tensor:
    """The example in the parameters' dtype and on their device; bounds may be computed in another dtype."""
    for parameter in model.parameters():
        if parameter.is_floating_point():
            return x.detach().to(dtype=parameter.dtype, device=parameter.device)
    return x.detach()
