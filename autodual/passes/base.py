"""The interface of passes, and the runner that names the pass that fails.

A pass is a frozen dataclass: its fields are its options, and become command-line options. Pass modules import torch
only when they run, so that the command line can list them at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from autodual.errors import AutodualError, PassError

if TYPE_CHECKING:
    from autodual.passes.plan import Plan

Observer = Callable[[str, "Plan"], None]


class Pass(ABC):
    """One step from the traced graph to the dual plan."""

    #: The pass' name on the command line and in messages.
    name: ClassVar[str]

    @abstractmethod
    def run(self, plan: Plan) -> Plan:
        """The plan after this pass.

        Args:
            plan: the plan before, which is not changed.
        """


def run_passes(plan: Plan, passes: Sequence[Pass], observer: Observer | None = None) -> Plan:
    """Run passes in order, and verify the graph after each.

    Args:
        plan: to start from.
        passes: in the order in which they run.
        observer: called as `observer(name, plan)` after each pass.

    Raises:
        PassError: a pass failed; the message names it and those before it. Other AutodualErrors pass through.

    Example:
        >>> import autodual, torch
        >>> from autodual.passes import RemoveDeadNodes, run_passes
        >>> plan = autodual.compile_dual(torch.nn.Linear(2, 3), torch.zeros(1, 2)).plan
        >>> len(run_passes(plan, [RemoveDeadNodes()]).graph.nodes)
        2
    """
    from autodual.ir.graph import GraphError, verify

    done: list[str] = []
    for step in passes:
        try:
            plan = step.run(plan)
            verify(plan.graph)
        except Exception as error:
            if isinstance(error, AutodualError) and not isinstance(error, GraphError):
                raise
            before = f" after {', '.join(done)}" if done else ""
            raise PassError(f"pass '{step.name}' failed{before}: {error}") from error
        done.append(step.name)
        if observer is not None:
            observer(step.name, plan)
    return plan
