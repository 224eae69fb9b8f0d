"""The parts that wait to be split: worst bound first, within a budget of memory."""

from __future__ import annotations

import heapq

import torch

from autodual.search.part_batch import Parts

# From this share of the room on, the deepest parts come first, so that the number of parts stops growing.
_CROWDED = 0.8
_SMALLEST = 64


class Frontier:
    """Open parts in tensors with a slot for each; the order depends on bounds and on when parts came, nothing else.

    Args:
        memory: bytes that waiting parts may take.
    """

    def __init__(self, memory: int):
        self._memory = memory
        self._store: Parts | None = None
        self._free: list[int] = []
        self._queue: list[tuple[float, int, int]] = []
        self._count = self._most = 0

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, parts: Parts) -> None:
        """Take in parts, as many as there is room for."""
        if parts.count == 0:
            return
        if self._store is None:
            self._most = max(_SMALLEST, self._memory // max(1, parts.bytes_each))
        room = self._most - len(self._queue)
        taken = parts if parts.count <= room else parts.select(torch.arange(room, device=parts.claim.device))
        self._grow(taken)
        slots = [self._free.pop() for _ in range(taken.count)]
        index = torch.tensor(slots, device=parts.claim.device)
        assert self._store is not None
        for store, tensor in zip(self._store.tensors(), taken.tensors()):
            store[index] = tensor
        for slot, bound in zip(slots, taken.bound.tolist()):
            heapq.heappush(self._queue, (bound, self._count, slot))
            self._count += 1

    def take(self, count: int) -> Parts:
        """The next parts, at most `count`: those with the least bounds, or the last ones where room is short."""
        assert self._store is not None
        if len(self._queue) > _CROWDED * self._most:
            self._queue.sort(key=lambda entry: -entry[1])
            entries, self._queue = self._queue[:count], self._queue[count:]
            heapq.heapify(self._queue)
        else:
            entries = [heapq.heappop(self._queue) for _ in range(min(count, len(self._queue)))]
        slots = [slot for _, _, slot in entries]
        self._free += slots
        return self._store.select(torch.tensor(slots, device=self._store.claim.device))

    def _grow(self, parts: Parts) -> None:
        """Make room for more parts: twice as much as there was, or as many as come."""
        missing = parts.count - len(self._free)
        if missing <= 0:
            return
        before = 0 if self._store is None else self._store.count
        more = min(max(missing, before, _SMALLEST), max(missing, self._most - before))
        empty = parts.mapped(lambda tensor: tensor.new_empty(more, *tensor.shape[1:]))
        if self._store is None:
            self._store = empty
        else:
            fresh = empty.tensors()
            self._store = self._store.mapped(lambda tensor: torch.cat([tensor, next(fresh)]))
        self._free += range(before + more - 1, before - 1, -1)
