"""Running a user's model for tracing, which leaves it and torch's random state exactly as they were."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stderr
from io import StringIO
from typing import Any

import torch
from torch import Tensor, nn

from autodual.frontend.torch.tracing.wrappers import pass_through


@contextmanager
def inference(model: nn.Module) -> Iterator[None]:
    """A context in which a model is in inference mode; afterwards it and the random state are as before.

    The `training` flags are set directly: an overridden `train()` may do more than switch modes. What `forward` assigns
    to the modules' attributes, or puts into their lists and dictionaries, is taken back. What torch.compile has wrapped
    runs as it was written: compiled code is another way to compute the same, and cannot be traced.
    """
    modules = list(model.modules())
    saved = [_Attributes(module) for module in modules]
    devices = {tensor.device for tensor in (*model.parameters(), *model.buffers()) if tensor.device.type == "cuda"}
    try:
        for module in modules:
            module.training = False
        pass_through(modules)
        with torch.random.fork_rng(devices=list(devices)), torch.no_grad(), _uncompiled():
            yield
    finally:
        for attributes in saved:
            attributes.restore()


def _uncompiled() -> AbstractContextManager[Any]:
    """Switches torch.compile off, if anything can have been compiled: importing its machinery takes seconds."""
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


@contextmanager
def silence() -> Iterator[None]:
    """A context without torch.export's logs, warnings and dumps: what matters in them becomes an error of ours."""
    disabled = logging.root.manager.disable
    try:
        logging.disable(logging.CRITICAL)
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


class _Attributes:
    """A module's attributes at one moment; containers keep their identity, plain tensors their values."""

    def __init__(self, module: nn.Module):
        self._module = module
        self._attributes = dict(vars(module))
        self._containers = [
            (value, value.copy()) for value in self._attributes.values() if isinstance(value, (dict, list, set))
        ]
        self._tensors = [
            (value, value._version, value.detach().clone())
            for value in self._attributes.values()
            if isinstance(value, Tensor) and not value.is_inference()
        ]

    def restore(self) -> None:
        attributes: dict[str, Any] = vars(self._module)
        attributes.clear()
        attributes.update(self._attributes)
        for container, content in self._containers:
            if isinstance(container, list):
                container[:] = content
            else:
                container.clear()
                container.update(content)
        for tensor, version, values in self._tensors:
            if tensor._version != version:
                with torch.no_grad():
                    tensor.copy_(values)
