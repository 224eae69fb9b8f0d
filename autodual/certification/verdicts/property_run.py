"""One call of `verify`: what is still open of a property, and what was tried last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from autodual.certification.verdicts.clock import Clock
from autodual.certification.verdicts.counterexample_search import Hunter
from autodual.certification.verdicts.exact_cases import ExactCases
from autodual.certification.verdicts.open_cases import Problem
from autodual.network import DualNetwork
from autodual.policies import Effort
from autodual.properties import Property

# Size limit of a swarm: numbers in its points and in the network's values at them.
_SWARM_NUMBERS = 1 << 17


@dataclass(eq=False)
class PropertyRun:
    """The state of a call.

    open: of each case that is not decided, the conjunctions that are not proved to be false. parts: how many parts of
    cases were bounded. advance: told how many cases are closed, and the method.
    """

    dual: DualNetwork
    goal: Property
    shape: tuple[int, ...]
    device: torch.device
    clock: Clock
    hunter: Hunter
    effort: Effort
    open: dict[int, tuple[int, ...]] = field(init=False)
    method: str = "nothing"
    parts: int = 0
    exact: ExactCases | None = None
    advance: Callable[[int, str], None] = lambda done, words: None

    def __post_init__(self) -> None:
        self.open = {number: tuple(range(len(case.conjunctions))) for number, case in enumerate(self.goal.cases)}

    def begin(self, method: str) -> None:
        """Note what is tried next, and tell how many cases are closed."""
        self.method = method
        self.tell()

    def tell(self) -> None:
        self.advance(len(self.goal.cases) - len(self.open), self.method)

    def discard_empty(self) -> None:
        """Close the cases whose inputs cannot keep their constraints."""
        if all(case.relation is None for case in self.goal.cases):
            return
        self.begin("constraints between inputs")
        problem = self.problem()
        for case, empty in zip(problem.cases, problem.empty.tolist()):
            if empty:
                del self.open[case]

    def problem(self, *, sums: bool = False) -> Problem:
        return Problem.of(self.goal, self.open, self.shape, self.device, sums=sums)

    @property
    def swarm_size(self) -> int:
        """How many points to attack from at once: many for a small network."""
        scalars = sum(node.size for node in self.dual.plan.graph)
        return max(4, min(512, _SWARM_NUMBERS // scalars))

    @property
    def done(self) -> bool:
        return not self.open or self.clock.over
