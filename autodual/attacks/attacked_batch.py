"""Makes one record a sample of what attacks found in a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from autodual.attacks.attacked_sample import AttackedSample
from autodual.attacks.base import Function
from autodual.attacks.hunt import Found, Hunt, Tell, wrong_at
from autodual.perturbations import Searchable
from autodual.policies import IGNORED
from autodual.specs import AvoidedClass, LabelSpecification, Specification
from autodual.tensors import flat


@dataclass(frozen=True, eq=False)
class AttackedBatch:
    """N samples: the set around them, what should hold, and their outputs; `labelled` if labels were given."""

    region: Searchable
    goal: Specification
    outputs: Tensor
    labelled: bool

    def samples(
        self, hunt: Hunt, tell: Tell, members: tuple[str, ...], shares: Sequence[float]
    ) -> list[AttackedSample]:
        """One record a sample; those that are wrong without any change are not attacked.

        Those that resist in a set of a share of the radius are attacked again in the next.
        """
        records, wrong = self._clean(), wrong_at(self.goal, self.outputs)
        index = (~wrong).nonzero().squeeze(1)
        for stage, share in enumerate(shares):
            if not len(index):
                break
            some, part = self.region.select(index), self.goal.select(index)
            done = partial(_after, tell, stage * hunt.searches(len(members)))
            found = hunt.run(some if share == 1 else some.enlarged(share), part, done)
            told = _Telling.of(found, some.centre, self.goal, hunt.confirm, members, share)
            for place, sample in enumerate(index.tolist()):
                records[sample] = told.added(records[sample], place)
            index = index[~found.hits.any(0)]
        return records

    def _clean(self) -> list[AttackedSample]:
        """The records before any attack."""
        margin = self.goal.margin(self.goal.rows(self.outputs).values(flat(self.outputs)))
        parts = self._labels(), classes_of(self.goal, self.outputs), wrong_at(self.goal, self.outputs).tolist()
        samples = zip(*parts, margin.tolist(), margin.tolist(), self.region.centre, strict=True)
        return [AttackedSample(*values) for values in samples]

    def _labels(self) -> list[int | None]:
        """The classes that were given; None where they are label maps, or to be ignored."""
        goal = self.goal
        if not isinstance(goal, LabelSpecification) or goal.labels.dim() > 1 or not self.labelled:
            return [None] * self.region.count
        return [None if label == IGNORED else label for label in goal.labels.tolist()]


def _after(tell: Tell, before: int, done: int, words: str) -> None:
    tell(before + done, words)


@dataclass(frozen=True, eq=False)
class _Telling:
    """What was found for the samples that were attacked, with the classes and distances of their worst points."""

    found: Found
    reached: list[int | None]
    distances: list[list[float]]
    members: tuple[str, ...]
    share: float

    @classmethod
    def of(
        cls,
        found: Found,
        centre: Tensor,
        goal: Specification,
        confirm: Function,
        members: tuple[str, ...],
        share: float,
    ) -> _Telling:
        change = flat(found.points - centre).double()
        norms = [torch.linalg.vector_norm(change, order, dim=1) for order in (torch.inf, 2, 1)]
        return cls(found, _reached(confirm, goal, found), torch.stack(norms, 1).tolist(), members, share)

    def added(self, record: AttackedSample, place: int) -> AttackedSample:
        """The record of the sample at a place among those attacked, with what was found."""
        found, hits = self.found, self.found.hits[:, place]
        search, inside = int(found.search[place]), found.inside[:, place]
        linf, l2, l1 = self.distances[place]
        names = dict.fromkeys(name for name, hit in zip(found.names, hits[1:].tolist(), strict=True) if hit)
        several, broken = len(self.members) > 1, (inside & hits[:, None]).any(0).tolist()
        return replace(
            record,
            margin=float(found.margin[place]),
            point=found.points[place],
            broken=bool(hits.any()),
            share=self.share if hits.any() else None,
            attack=found.names[search - 1] if search else None,
            member=self.members[int(inside[search].int().argmax())] if several else None,
            broken_by=tuple(names),
            broken_in=tuple(words for words, hit in zip(self.members, broken, strict=True) if hit and several),
            reached=self.reached[place],
            linf=linf,
            l2=l2,
            l1=l1,
        )


def _reached(confirm: Function, goal: Specification, found: Found) -> list[int | None]:
    """The class at the worst point of each sample that is broken; None for the others."""
    index = found.hits.any(0).nonzero().squeeze(1)
    reached: list[int | None] = [None] * len(found.points)
    if len(index):
        for place, label in zip(index.tolist(), classes_of(goal, confirm(found.points[index])), strict=True):
            reached[place] = label
    return reached


def classes_of(goal: Specification, outputs: Tensor) -> list[int | None]:
    """The class of each sample; None where the property is not about one class a sample."""
    if isinstance(goal, AvoidedClass):
        return outputs.argmax(1).tolist()
    if isinstance(goal, LabelSpecification) and goal.labels.dim() == 1:
        return goal.predicted(outputs).tolist()
    return [None] * outputs.shape[0]
