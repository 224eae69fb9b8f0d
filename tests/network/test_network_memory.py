"""The memory budget: peaks exceed it by at most 20 %, results do not depend on it, and too small ones are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.errors import MemoryBudgetError
from autodual.network.kept_memory import keep_freed_memory
from autodual.passes import RandomProjection, default_pipeline

MIB = 1 << 20

# Runs in its own process; a small problem first loads all libraries, then the growth of resident memory is measured.
SCRIPT = """
import gc, json, sys
import torch
from torch import nn
import autodual
from autodual.passes import RandomProjection, default_pipeline

case, samples, channels, budget = json.loads(sys.argv[1])
torch.set_num_threads(1)
torch.manual_seed(0)

def network(channels, side):
    first, second = nn.Conv2d(1, channels, 4, 2, 1), nn.Conv2d(channels, 2 * channels, 4, 2, 1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(),
                         nn.Linear(2 * channels * (side // 4) ** 2, 50), nn.ReLU(), nn.Linear(50, 10))

def work(model, x, budget):
    passes = [*default_pipeline(), *([RandomProjection(20, seed=0)] if case == "projected" else [])]
    dual = autodual.compile_dual(model, x[:1], passes=passes, memory_budget=budget)
    y = torch.zeros(len(x), dtype=torch.long)
    def run():
        if case in ("bound", "search"):
            # Few steps: what is held at once does not depend on their number.
            options = {"slopes": "shared"} if case == "bound" else {"slopes": "optimized", "steps": 4, "inner_steps": 2}
            with torch.no_grad():
                return dual.margins(x, y, autodual.LinfBall(0.05), **options)
        options = {"inner": "interval", "last": "interval"} if case == "intervals" else {}
        autodual.robust_loss(dual, x, y, autodual.LinfBall(0.05), **options).backward()
    return run

def status(field):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024

work(network(2, 8), torch.rand(2, 1, 8, 8), budget)()
run = work(network(channels, 28), torch.rand(samples, 1, 28, 28), budget)
gc.collect()
open("/proc/self/clear_refs", "w").write("5")
before = status("VmRSS")
run()
print(status("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from Linux' /proc")
@pytest.mark.parametrize(
    ("case", "samples", "channels", "budget"),
    [
        ("bound", 200, 8, 64),
        ("search", 20, 8, 64),
        ("step", 40, 16, 128),
        ("step", 40, 16, 256),
        ("intervals", 400, 16, 64),
        ("projected", 100, 16, 96),
    ],
)
def test_the_peak_stays_within_the_budget(case: str, samples: int, channels: int, budget: int) -> None:
    arguments = json.dumps([case, samples, channels, budget * MIB])
    command = [sys.executable, "-c", SCRIPT, arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout.splitlines()[-1]) <= 1.2 * budget


def _network() -> nn.Sequential:
    torch.manual_seed(0)
    layers = (nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, stride=2, padding=1), nn.ReLU())
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 20), nn.ReLU(), nn.Linear(20, 3)).double()


def _step(budget: int, slopes: str, *passes: RandomProjection) -> tuple[Tensor, Tensor]:
    """The loss of each of six samples, and the gradient of their sum."""
    model = _network()
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    dual = autodual.compile_dual(model, x, passes=[*default_pipeline(), *passes], memory_budget=budget)
    loss = autodual.robust_loss(
        dual, x, torch.zeros(6, dtype=torch.long), autodual.LinfBall(0.1), slopes=slopes, reduction="none"
    )  # type: ignore[arg-type]
    loss.sum().backward()
    return loss.detach(), torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])
def test_losses_and_gradients_do_not_depend_on_the_budget(slopes: str) -> None:
    """With a budget of one MiB, samples and rows are recomputed in the backward pass."""
    plenty, little = _step(1 << 30, slopes), _step(MIB, slopes)
    for one, other in zip(plenty, little):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=1e-10)


def test_projected_losses_and_gradients_do_not_depend_on_the_budget() -> None:
    plenty, little = (_step(budget, "shared", RandomProjection(20, seed=0)) for budget in (1 << 30, MIB))
    for one, other in zip(plenty, little):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)


def test_a_budget_below_one_row_is_refused() -> None:
    model = nn.Sequential(nn.Linear(16, 40_000), nn.ReLU(), nn.Linear(40_000, 3))
    x = torch.rand(1, 16)
    dual = autodual.compile_dual(model, x, memory_budget=MIB)
    with pytest.raises(MemoryBudgetError, match="memory_budget="):
        dual.lower_bounds(x, autodual.LinfBall(0.1), torch.eye(3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_peak_on_a_gpu_stays_within_the_budget() -> None:
    model = _network().float().cuda()
    x = torch.rand(2000, 1, 8, 8, device="cuda")
    dual = autodual.compile_dual(model, x[:1], memory_budget=64 * MIB)
    labels = torch.zeros(len(x), dtype=torch.long, device="cuda")
    autodual.robust_loss(dual, x[:2], labels[:2], autodual.LinfBall(0.1)).backward()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    autodual.robust_loss(dual, x, labels, autodual.LinfBall(0.1)).backward()
    assert torch.cuda.max_memory_allocated() - before <= 1.2 * 64 * MIB


def test_memory_is_kept_on_the_host_whatever_the_default_device(monkeypatch: pytest.MonkeyPatch) -> None:
    made, empty = [], torch.empty
    monkeypatch.setattr(torch, "empty", lambda *args, **options: made.append(empty(*args, **options)) or made[-1])
    keep_freed_memory.cache_clear()
    with torch.device("meta"):
        keep_freed_memory()
    assert [tensor.device.type for tensor in made] == ["cpu"]
