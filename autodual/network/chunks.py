"""Bounds of a large batch, some samples at a time, so that memory does not grow with the batch."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from autodual.bounds import BoundOptions, Ledger, recomputed
from autodual.errors import MemoryBudgetError
from autodual.ir.graph import Graph
from autodual.measured import measured
from autodual.network.call import Call, Question
from autodual.network.kept_memory import keep_freed_memory
from autodual.network.result import DualResult, joined

# The share of the budget that samples take is 1 / _SHARE, without gradients and with them; the rest is for rows.
_SHARE, _SHARE_WITH_GRADIENTS = 8, 4
# The part of the budget that samples take where the last affine layers alone have rows.
_INTERVALS_PART = 0.65
# Shares of the budget: the most that a single sample may take, and what a chunk with all its rows should take.
_ALONE_SHARE, _AIM = 0.5, 0.6


class SampleSize:
    """How many bytes one sample takes in a call, not counting its rows.

    rows: how many rows a sample has, if no others are pulled: the intervals of all bound sites are given.

    Raises MemoryBudgetError where not even one sample fits.
    """

    def __init__(self, graph: Graph, x: Tensor, options: BoundOptions, *, rows: int | None = None):
        self.options, self.recorded = options, torch.is_grad_enabled()
        self.cached = _cached_samples(graph, x, rows) if rows and not self.recorded and x.device.type == "cpu" else None
        self.bytes = max(1, x.element_size() * _scalars(graph, recorded=self.recorded, relaxed=options.relaxes))
        budget = options.memory_budget
        if options.at_once is None and self.bytes > _ALONE_SHARE * options.room:
            raise MemoryBudgetError(
                f"the bounds of one sample alone take {self.bytes / 2**20:.1f} MiB, too much for a memory budget of "
                f"{budget / 2**20:.1f} MiB: give more with memory_budget="
            )

    @property
    def chunk(self) -> int:
        """How many samples to bound at once."""
        share = _SHARE_WITH_GRADIENTS if self.recorded else _SHARE
        room = self.options.room // share if self.options.relaxes else int(_INTERVALS_PART * self.options.room)
        fitting = max(1, room // self.bytes)
        fitting = fitting if self.options.at_once is None else min(fitting, self.options.at_once)
        return fitting if self.cached is None else min(fitting, self.cached)

    def after(self, ledger: Ledger, samples: int) -> int:
        """The next chunk's size, from the memory that the last one took: gradients shall keep all of its rows."""
        each = (ledger.kept + ledger.spared) / samples
        return max(1, min(self.chunk, int(_AIM * self.options.room / max(1.0, each))))

    def ledger(self, samples: int) -> Ledger:
        """A new ledger that counts what gradients keep of these samples before any of their rows."""
        return Ledger(self.options.room, samples * self.bytes) if self.recorded else Ledger()


def _scalars(graph: Graph, *, recorded: bool, relaxed: bool) -> int:
    """How many numbers a sample holds at once, its rows aside: those of all nodes' tensors.

    The gradients of interval arithmetic keep what a node's operands need, and work on one node at a time.
    """
    every = sum(node.size for node in graph)
    if relaxed:
        return every * (measured.sample_tensors_kept if recorded else measured.sample_tensors)
    if not recorded:
        return every * measured.interval_tensors
    kept = sum(node.size * max(1, len(node.inputs)) for node in graph)
    # Values and their gradients, both alive where the backward pass has come to.
    at_work = 2 * measured.interval_tensors * max(node.size for node in graph)
    return kept * measured.interval_tensors_kept + at_work


def _cached_samples(graph: Graph, x: Tensor, rows: int) -> int:
    """For how many samples to make relaxations at once if these are used for so many rows alone.

    Such rows are pulled a few at a time, so that they stay in the processor's caches. Relaxations that are made along
    with them are still there too, and in memory that the last ones have left, while new memory costs more than they do.
    """
    widest = max(node.size for node in graph) * x.element_size()
    fitting = max(1, measured.cache_bytes // (measured.row_tensors * widest))
    # Whole groups of rows that are pulled together, and as many samples as there would be of one row each.
    together = max(1, fitting // rows)
    return max(together, fitting // together * together)


def in_chunks(call: Call, question: Question, size: SampleSize) -> DualResult:
    """The bounds of all samples, or subproblems of them, computed in slices of as many as memory allows.

    While gradients are recorded, autograd would keep all slices until the backward pass. That pass computes each slice
    again instead.
    """
    keep_freed_memory()
    chunk, samples = size.chunk, question.count
    if samples <= chunk:
        return call.bound(slice(0, samples), question, size.ledger(samples))
    parts, start = [], 0
    while start < samples:
        part = slice(start, min(start + chunk, samples))
        work = partial(_slice, call, part, size)
        if size.recorded:
            found, ledger = recomputed(work, question)
            chunk = size.after(ledger, part.stop - start)
        else:
            found, _ = work(question)
        parts.append(found)
        start = part.stop
    return joined(parts)


def _slice(call: Call, part: slice, size: SampleSize, question: Question) -> tuple[DualResult, Ledger]:
    """Bounds of a slice, and a new ledger of what gradients keep of it."""
    ledger = size.ledger(part.stop - part.start)
    return call.bound(part, question, ledger), ledger
