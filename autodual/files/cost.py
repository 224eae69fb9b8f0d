"""The cost of running a network from a file, found from shapes alone before it runs.

A layer with a few bytes of weights can enlarge a sample to terabytes, or slide a window of any size over it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from autodual.errors import BudgetError
from autodual.frontend import KnowsItsGraph
from autodual.frontend.torch.tracing.sequence import steps_of
from autodual.frontend.torch.tracing.stock_layers import Step
from autodual.limits import ACTIVATIONS, LAYERS, WORK

_OPERATIONS_A_LAYER = 4
"""Operations counted as one layer; most layers are one or two, attention is more than this."""

_WINDOWS = frozenset({"avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices"})


def require_affordable(name: str | None, model: nn.Module, examples: Sequence[Tensor]) -> None:
    """Follow the shapes of one forward pass of a module on `examples` `[N, *shape]`, without computing values.

    A module that knows its graph was charged for it when its file was read, and is not followed again. If the pass
    fails or cannot be followed, as with sizes that depend on values, the check ends: the real pass will report the
    error.

    Raises:
        BudgetError: the output of an operation for one sample, the operations or the multiplications of the pass are
            above their budget; `name` is the file's name in the message, if it is known.
    """
    if isinstance(model, KnowsItsGraph):
        return
    steps = steps_of(model, tuple(examples[0].shape[1:])) if len(examples) == 1 else None
    if steps is not None:
        _require_affordable_steps(name, [step for _, _, step in steps], examples[0].element_size())
        return
    from torch._subclasses.fake_tensor import FakeTensorMode

    meter = _Meter(name, max(1, len(examples[0])))
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    try:
        with _quiet(), torch.no_grad(), mode, meter:
            model(*(mode.from_tensor(example.detach()) for example in examples))
    except BudgetError:
        raise
    except Exception:  # the real pass, which follows, reports what is wrong with the network
        return


def _require_affordable_steps(name: str | None, steps: Sequence[Step], itemsize: int) -> None:
    """The same of a sequence of stock layers, whose shapes are known without a pass."""
    LAYERS.require(name, "each pass through it", len(steps))
    for step in steps:
        word = _word(step.target)
        ACTIVATIONS.require(name, f"the {word} of one sample", math.prod(step.shape) * itemsize)
    WORK.require(name, "each pass of a sample through it", float(sum(step.multiplications for step in steps)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences PyTorch's log of failures on fake tensors, with their tracebacks."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled


class _Meter(TorchDispatchMode):
    """Counts the operations of a pass; its tensors have shapes but no values."""

    def __init__(self, name: str | None, samples: int) -> None:
        super().__init__()
        self._name = name
        self._samples = samples
        self._operations = 0
        self._work = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        outputs = func(*args, **kwargs)
        made = [leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
        self._operations += 1
        LAYERS.require(self._name, "each pass through it", self._operations / _OPERATIONS_A_LAYER)
        for tensor in made:
            size = tensor.numel() * tensor.element_size() / self._samples
            ACTIVATIONS.require(self._name, f"the {_word(func)} of one sample", size)
        self._work += _multiplications(func, args, kwargs, outputs, made) / self._samples
        WORK.require(self._name, "each pass of a sample through it", self._work)
        return outputs


def _word(func: Any) -> str:
    return str(func).removeprefix("aten.").partition(".")[0]


def _multiplications(func: Any, args: Any, kwargs: Any, outputs: Any, made: Sequence[Tensor]) -> float:
    """The approximate number of multiplications of an operation."""
    counted = flop_registry.get(func.overloadpacket if hasattr(func, "overloadpacket") else func)
    if counted is not None:
        return counted(*args, **kwargs, out_val=outputs) / 2
    numbers = float(sum(tensor.numel() for tensor in made))
    if _word(func) in _WINDOWS:
        window = args[1] if isinstance(args[1], (list, tuple)) else [args[1]]
        return numbers * math.prod(window)
    return numbers
