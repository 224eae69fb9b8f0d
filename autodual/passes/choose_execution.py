"""Chooses how bounds are computed: the mode, windows, skipping, intersection with intervals and the memory budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from autodual.errors import InvalidInputError
from autodual.passes.base import Pass
from autodual.policies import DEFAULT_MEMORY_BUDGET, Layout, Mode

if TYPE_CHECKING:
    from autodual.passes.plan import Plan


@dataclass(frozen=True)
class ChooseExecution(Pass):
    """Only `intersect` changes bounds beyond rounding; see also `autodual.bounds.BoundOptions`.

    Args:
        mode: `pull` rows back from each site, `push` columns forward, or `auto`: whichever is cheaper for the site.
        layout: pull rows for the units of a site whose bounds matter (`sparse`), or for all units (`dense`), so that no
            shape depends on values and a GPU never waits for the host; `auto`: whichever is cheaper for the site.
        windows: rows of convolutions carry only their receptive field.
        skip_decided: compute no rows for units whose relaxation is settled by interval arithmetic.
        intersect: interval arithmetic tightens every bound; None: only under adaptive slopes, or if an op asks for it.
        memory_budget: bytes that a call may take, at least 1 MiB.

    Raises:
        InvalidInputError: the mode or the layout is unknown, the two do not go together, or the budget is too small.

    Example:
        >>> import autodual, torch
        >>> from autodual.passes import ChooseExecution, default_pipeline
        >>> passes = [*default_pipeline(), ChooseExecution(mode="pull")]
        >>> autodual.compile_dual(torch.nn.Linear(2, 3), torch.zeros(1, 2), passes=passes).plan.options.mode
        'pull'
    """

    name: ClassVar[str] = "choose-execution"

    mode: Mode = "auto"
    layout: Layout = "auto"
    windows: bool = True
    skip_decided: bool = True
    intersect: bool | None = None
    memory_budget: int = DEFAULT_MEMORY_BUDGET

    def __post_init__(self) -> None:
        if self.mode not in ("auto", "pull", "push"):
            raise InvalidInputError(f"mode must be 'auto', 'pull' or 'push', not {self.mode!r}")
        if self.layout not in ("auto", "sparse", "dense"):
            raise InvalidInputError(f"layout must be 'auto', 'sparse' or 'dense', not {self.layout!r}")
        if self.layout == "dense" and self.mode == "push":
            raise InvalidInputError("layout='dense' is about rows that are pulled: leave mode='push' out")
        if not isinstance(self.memory_budget, (int, float)):
            raise InvalidInputError(f"memory_budget must be a number of bytes, not {self.memory_budget!r}")
        if self.memory_budget < 1 << 20:
            raise InvalidInputError(f"a memory budget of {self.memory_budget} bytes is too small; give at least 1 MiB")

    def run(self, plan: Plan) -> Plan:
        options = replace(
            plan.options,
            mode=self.mode,
            layout=self.layout,
            windows=self.windows,
            skip_decided=self.skip_decided,
            intersect=self.intersect,
            memory_budget=self.memory_budget,
        )
        return replace(plan, options=options)
