"""What bounds leave open is searched, one sample after the other: branch and bound over its inputs and units."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from autodual.attacks import counterexamples
from autodual.certification.deadline import in_time
from autodual.certification.leaf_programs import program_solver
from autodual.certification.proof_parts import Proof
from autodual.exact.deciding import Decision
from autodual.exact.time_allowed import Clock
from autodual.network import DualNetwork
from autodual.perturbations import Searchable, Support, require_support
from autodual.search import Claims, PartBounds, TreeSearch, suitable_actions
from autodual.specs import Rows, Specification
from autodual.tensors import bounding_dtype

# Steps uphill of whole sets, and the share of the memory budget that waiting parts may take.
_STEPS, _SHARE = 12, 2


@dataclass(frozen=True, eq=False)
class SearchDecisions:
    """Decides samples by searches, each for at most so many `seconds`, and all of them until `total` is over."""

    dual: DualNetwork
    seconds: float
    total: Clock

    def decide(
        self, region: Support, spec: Specification, proof: Proof, samples: Tensor, *, deployed: bool
    ) -> dict[int, Decision]:
        """The decisions on some samples, bool `[N]`, that a proof leaves open; points are in the region's dtype.

        deployed: what is proved is to hold of a run of the network too.
        """
        found = {}
        for sample in samples.nonzero().squeeze(1).tolist():
            needed = proof.deployed[sample] if deployed else torch.zeros_like(proof.lower[sample])
            if self.total.over or not bool(needed.isfinite().all()):
                continue  # if nothing is known of a run, no margin is enough
            index = torch.tensor([sample], device=region.centre.device)
            here, goal = region.select(index), spec.select(index)
            clock = Clock(min(self.seconds, self.total.left))
            found[sample] = _Deciding(self.dual, here, goal, proof.lower[sample], needed, clock).decision()
        return found


@dataclass(eq=False)
class _Deciding:
    """The work on one sample: what is known of its half-spaces, `lower` `[S]`, and what they need to exceed, `[S]`."""

    dual: DualNetwork
    region: Support
    spec: Specification
    lower: Tensor
    needed: Tensor
    clock: Clock

    def decision(self) -> Decision:
        start = time.monotonic()
        with torch.no_grad():
            rows = self.spec.rows(self.dual.outputs(self.region.centre.double()))
        values = (self.lower - self.needed).double()
        clauses = [list(clause) for clause in self.spec.disjunctions or self._rows(rows.objective)]
        best = {place: float(values[clause].max()) for place, clause in enumerate(clauses)}
        open_ = [place for place, value in best.items() if not value > 0]
        point, parts, finished = None, 0, True
        for member in self.region.source.members():
            placed = self.region if len(self.region.source.members()) == 1 else member.at(self.region.centre)
            search = self._search(require_support(placed), rows, [clauses[place] for place in open_])
            in_time(self.clock.left, search.run)
            parts += search.parts
            finished &= not self.clock.over
            point = search.found if point is None else point
            least = search.proved.tolist()
            for number, place in enumerate(open_):
                proved = least[number] if place not in self._seen else min(least[number], self._seen[place])
                self._seen[place] = proved
        for place, value in self._seen.items():
            best[place] = max(best[place], value)
            if len(clauses[place]) == 1:
                values[clauses[place][0]] = best[place]
        margin = min(best.values()) if self.spec.disjunctions else float(self.spec.margin(values.unsqueeze(0)))
        return Decision(values, margin, point, parts, time.monotonic() - start, finished)

    def __post_init__(self) -> None:
        self._seen: dict[int, float] = {}

    @staticmethod
    def _rows(objective: Tensor) -> list[list[int]]:
        """Every half-space by itself, but for those that are constant."""
        table = objective if objective.dim() == 2 else objective[0]
        return [[row] for row in table.any(1).nonzero().squeeze(1).tolist()]

    def _search(self, region: Support, rows: Rows, clauses: Sequence[Sequence[int]]) -> TreeSearch:
        error = torch.zeros_like(rows.offset) if rows.offset_error is None else rows.offset_error
        matrix = rows.objective if rows.objective.dim() == 2 else rows.objective[0]
        offset, error = (part if part.dim() == 1 else part[0] for part in (rows.offset, error))
        claims = _claims(matrix.double(), offset.double() + self.needed.double(), error.double(), clauses)
        narrow = bounding_dtype(self.region.centre.dtype)
        exact = bool((claims.matrix == claims.matrix.to(narrow)).all())
        dtypes = dict.fromkeys([narrow, torch.float64] if exact else [torch.float64])
        bounds = PartBounds(self.dual, {kind: region.to(kind) for kind in dtypes}, claims)
        return TreeSearch(
            bounds,
            suitable_actions(bounds),
            lambda: self.clock.over,
            memory=bounds.options.room // _SHARE,
            steps=_STEPS,
            attempt=self._attempt if isinstance(region, Searchable) else None,
            solve=program_solver(self.clock),
        )

    def _attempt(self, claim: Tensor, points: Tensor, thorough: bool) -> Tensor | None:
        """The first of points `[M, *shape]` that, projected and run, violates the specification: `[1, *shape]`."""
        index = torch.zeros(points.shape[0], dtype=torch.long, device=points.device)
        searchable = self.region.select(index)
        assert isinstance(searchable, Searchable)
        run = searchable.project(points.to(self.region.centre))
        hits = counterexamples(self.dual.outputs, searchable, self.spec.select(index), run).nonzero()
        return run[hits[0]] if hits.shape[0] else None


def _claims(matrix: Tensor, offset: Tensor, error: Tensor, clauses: Sequence[Sequence[int]]) -> Claims:
    """A claim for each clause of half-spaces, padded with rows that take no part."""
    longest = max(map(len, clauses))
    index = torch.tensor([[*clause, *[clause[0]] * (longest - len(clause))] for clause in clauses])
    member = torch.tensor([[place < len(clause) for place in range(longest)] for clause in clauses])
    index, member = index.to(matrix.device), member.to(matrix.device)
    sample = torch.zeros(len(clauses), dtype=torch.long, device=matrix.device)
    return Claims(matrix[index], offset[index], error[index], member, sample)
