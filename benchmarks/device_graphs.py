"""Captured graphs on a device, for `device.py`: how far they are from what they captured, and what they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import autodual
from autodual.passes import ChooseExecution, default_pipeline

INTERVALS = {"inner": "interval", "last": "interval"}


def captured(
    model: nn.Module, x: Tensor, time: Callable[[Callable[[], object]], float], compiled: bool
) -> dict[str, Any]:
    """Milliseconds of an interval step and of an adaptive bound, called and by graphs, and the largest difference.

    time: measures a call. compiled: whether to measure graphs that torch.compile has translated as well.
    """
    dual = autodual.compile_dual(model, x[:1], passes=[*default_pipeline(), ChooseExecution(layout="dense")])
    labels = dual.outputs(x).argmax(1)

    def step(x: Tensor, labels: Tensor, radius: Tensor) -> Any:
        loss = autodual.robust_loss(dual, x, labels, autodual.LinfBall(radius), **INTERVALS)
        return torch.autograd.grad(loss, list(model.parameters()))

    def bound(x: Tensor, labels: Tensor, radius: Tensor) -> Any:
        return (dual.margins(x, labels, autodual.LinfBall(radius), slopes="adaptive"),)

    found = {}
    inputs = x, labels, torch.tensor(0.02, device=x.device)
    for name, function in {"interval step": step, "adaptive bound": bound}.items():
        graph = autodual.capture(function, dual, *inputs)
        ways: dict[str, Callable[..., Any]] = {"called": function, "graph": graph}
        if compiled:
            ways["compiled"] = torch.compile(graph, fullgraph=True, mode="reduce-overhead")
        results = {way: [one.detach().clone() for one in run(*inputs)] for way, run in ways.items()}
        found[name] = {
            "milliseconds": {way: time(lambda run=run: run(*inputs)) for way, run in ways.items()},
            "difference": {
                way: max(float((one - other).abs().max()) for one, other in zip(result, results["called"]))
                for way, result in results.items()
            },
        }
    return found
