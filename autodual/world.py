"""The processes of one run, started by `torchrun`; each takes its share of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as distributed
from torch import Tensor, nn


@dataclass(frozen=True)
class World:
    """The rank of this process among `size` processes; with size 1, all methods are trivial."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and prints."""
        return self.rank == 0

    def share(self, samples: Tensor) -> Tensor:
        """This process's share of a batch.

        Args:
            samples: the indices of the batch.
        """
        return samples[self.rank :: self.size]

    def add_gradients(self, model: nn.Module, weight: float) -> None:
        """Replace the gradients of every process by the weighted sum over all processes.

        Args:
            model: the same network in every process.
            weight: of this process's gradients.
        """
        if self.size == 1:
            return
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([part.reshape(-1) for part in parts]) * weight
        distributed.all_reduce(flat)
        for parameter, part in zip(parameters, flat.split([part.numel() for part in parts])):
            parameter.grad = part.view_as(parameter)

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, so that running statistics are the same everywhere.

        Args:
            tensors: the same number and shapes in every process; integers are left alone.
        """
        if self.size == 1:
            return
        for tensor in tensors:
            if tensor.is_floating_point():
                distributed.all_reduce(tensor)
                tensor /= self.size

    def total(self, values: Iterable[float]) -> list[float]:
        """Each of the numbers, summed over the processes.

        Args:
            values: as many in every process.
        """
        summed = torch.tensor(list(values), dtype=torch.float64)
        if self.size > 1:
            device = torch.device("cuda") if distributed.get_backend() == "nccl" else torch.device("cpu")
            summed = summed.to(device)
            distributed.all_reduce(summed)
        return [float(value) for value in summed]

    def gathered(self, thing: Any) -> list[Any]:
        """`thing` from each process, in the order of their ranks."""
        if self.size == 1:
            return [thing]
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, thing)
        return found


@contextmanager
def world_of_environment(device: torch.device) -> Iterator[World]:
    """The processes that `torchrun` has started, or this one alone.

    Args:
        device: of the run; on a GPU the processes talk by NCCL, else by gloo.

    Example:
        >>> import torch
        >>> from autodual.world import world_of_environment
        >>> with world_of_environment(torch.device("cpu")) as world:
        ...     world.share(torch.arange(3)), world.total([1.5])
        (tensor([0, 1, 2]), [1.5])
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or "RANK" not in os.environ:
        yield World()
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()
