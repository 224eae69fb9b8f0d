"""Parts of samples' sets, many at a time, as tensors: what is known of each, and how each would be split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from autodual.interval import Interval
from autodual.tensors import flat


@dataclass(frozen=True, eq=False)
class Choice:
    """For each of M parts, how one kind of action would split it: the gain that its score predicts, the scalar of the
    network that it halves, and the point where. All `[M]`; a gain that is not positive: it cannot split the part.
    """

    gain: Tensor
    unit: Tensor
    point: Tensor

    def mapped(self, function: Callable[[Tensor], Tensor]) -> Choice:
        return Choice(function(self.gain), function(self.unit), function(self.point))


@dataclass(frozen=True, eq=False)
class Parts:
    """M subproblems of a search.

    claim: which claim each is about, `[M]`. bound: what is proved of its best combination of half-spaces, float64
    `[M]`. depth: how often it was split, `[M]`. stale: whether its intervals should be computed again, bool `[M]`.
    intervals: by site, and by input where parts of it are boxes; they hold on the part, `[M, *shape]`.
    sign, point: by site, units that were split: z ≥ point where 1, z ≤ point where -1.
    multiplier: of these splits, by site, `[M, R, *shape]`. slopes: by relaxed node, `[M, R, *shape]`.
    choices: by kind of action.
    """

    claim: Tensor
    bound: Tensor
    depth: Tensor
    stale: Tensor
    intervals: Mapping[str, Interval]
    sign: Mapping[str, Tensor]
    point: Mapping[str, Tensor]
    multiplier: Mapping[str, Tensor]
    slopes: Mapping[str, Tensor]
    choices: Mapping[str, Choice]

    @property
    def count(self) -> int:
        """M."""
        return self.claim.shape[0]

    @property
    def has_splits(self) -> Tensor:
        """Which parts have split units, bool `[M]`."""
        found = torch.zeros_like(self.stale)
        for sign in self.sign.values():
            found = found | flat(sign).any(1)
        return found

    def mapped(self, function: Callable[[Tensor], Tensor]) -> Parts:
        """The parts with a function of each of their tensors in its place."""

        def of(value):
            if isinstance(value, Tensor):
                return function(value)
            if isinstance(value, Interval):
                return Interval(function(value.lower), function(value.upper))
            if isinstance(value, Choice):
                return value.mapped(function)
            return {name: of(each) for name, each in value.items()}

        return Parts(**{field.name: of(getattr(self, field.name)) for field in fields(self)})

    def tensors(self) -> Iterator[Tensor]:
        """All tensors, in an order that depends on the names alone."""
        found: list[Tensor] = []
        self.mapped(lambda tensor: found.append(tensor) or tensor)  # type: ignore[func-returns-value]
        return iter(found)

    def select(self, index: Tensor | slice) -> Parts:
        """Some of the parts: `[M]` long or bool, or a slice. All of them are these, without a copy."""
        if isinstance(index, Tensor) and index.dtype == torch.bool and bool(index.all()):
            return self
        return self.mapped(lambda tensor: tensor[index])

    @property
    def bytes_each(self) -> int:
        """Bytes that one part takes."""
        return sum(tensor[0].numel() * tensor.element_size() for tensor in self.tensors())


def joined(parts: Sequence[Parts]) -> Parts:
    """Parts of several batches as one batch, in order."""
    if len(parts) == 1:
        return parts[0]
    columns = zip(*(list(part.tensors()) for part in parts))
    whole = iter([torch.cat(column) for column in columns])
    return parts[0].mapped(lambda _: next(whole))


def with_interval(parts: Parts, name: str, unit: Tensor, low: Tensor, high: Tensor) -> Parts:
    """Parts whose interval of the scalar unit `[M]` of a node is cut to [low, high] `[M]`."""
    present = parts.intervals[name]
    place = unit.unsqueeze(1)

    def cut(end: Tensor, new: Tensor, choose: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        whole = flat(end)
        old = whole.gather(1, place)
        return whole.scatter(1, place, choose(old, new.to(end).unsqueeze(1))).reshape(end.shape)

    interval = Interval(cut(present.lower, low, torch.maximum), cut(present.upper, high, torch.minimum))
    return replace(parts, intervals={**parts.intervals, name: interval})
