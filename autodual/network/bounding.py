"""The one entry to bounds: what a caller asks for, checked, becomes one `Call`."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import Unpack

from autodual.bounds import BoundOptions, Subproblems, mapped
from autodual.errors import CaptureError
from autodual.estimators import Stream
from autodual.inputs import Numbers, Samples, sample_tensor
from autodual.network.ask import Ask
from autodual.network.ask_options import AskOptions
from autodual.network.call import Call, Executed, Question
from autodual.network.call_options import call_options
from autodual.network.checked_objective import checked_objective
from autodual.network.chunks import SampleSize, in_chunks
from autodual.network.compiled import Compiled, CompiledNetwork
from autodual.network.given_parts import bounded_node, check_rows, checked_parts
from autodual.network.keywords import takes
from autodual.network.known import checked_ask, of_subproblems, refute_known
from autodual.network.result import DualResult
from autodual.objective import Objective
from autodual.passes.plan import Plan
from autodual.perturbations import PerturbationSet, Support, perturbation_set, require_support
from autodual.policies import Projection
from autodual.requirements import checked_together, checking, nan_unless_met
from autodual.tensors import bounding_dtype


def _all_given(plan: Plan, parts: Subproblems) -> bool:
    """Whether every bound site's interval is given, so that rows of the objective alone are pulled."""
    return all(site.name in parts.given for site in plan.bound_sites)


class _Asked(NamedTuple):
    """What a caller asks for, checked: the options of the bounds, and the linear functions of each subproblem."""

    compiled: Compiled
    options: BoundOptions
    ask: Ask
    parts: Subproblems
    functions: Objective | None


class BoundingNetwork(CompiledNetwork):
    """A compiled network that bounds linear functions of its outputs."""

    #: How many calls have drawn random numbers from a seed: the next call draws others.
    draws: int = 0

    @takes(AskOptions)
    def forward(
        self,
        x: Samples,
        ball: PerturbationSet,
        objective: Numbers | Objective | None = None,
        *,
        ask: Ask | None = None,
        **options: Unpack[AskOptions],
    ) -> DualResult:
        """Lower bounds `[N, S]` of linear functions of the outputs over the set around each sample.

        Args:
            x: samples `[N, *shape]`.
            ball: the set around each.
            objective: the functions' coefficients, `[S, *output shape]` for all samples or `[N, S, *output shape]`, as
                a tensor, an array or lists. The outputs' axes may be flattened, as `[S, K]` and `[N, S, K]`; where both
                readings fit, that is the one. Without an objective only the intervals of the bound sites are computed.

        Raises:
            InvalidInputError: a shape, a dtype or an option does not fit.
            EmptySetError: a set has no points, or what is assumed is provably false.

        Example:
            >>> import autodual, torch
            >>> dual = autodual.compile_dual(torch.nn.ReLU())
            >>> dual(torch.tensor([[1.0, -1.0]]), autodual.LinfBall(0.5), torch.eye(2)).lower
            tensor([[0.5000, 0.0000]])
        """
        ask, x = Ask.of(ask, options, BoundingNetwork.forward), sample_tensor(x)
        run = self._run(x) if ask.executed else None
        x = x.to(bounding_dtype(x.dtype))
        with checked_together():
            region = require_support(perturbation_set(ball).at(x))
            asked = self._asked(x, objective, ask)
        return self._bounded(region, asked, run)

    def over(self, region: Support, objective: Objective, ask: Ask) -> DualResult:
        """As `forward`, over a set that has been placed around samples, and so checked, already.

        Args:
            region: the set around each sample; bounds are in its dtype.
            objective: the functions.
            ask: how to bound them.
        """
        run = self._run(region.centre) if ask.executed else None
        return self._bounded(region, self._asked(region.centre, objective, ask), run)

    def _asked(self, x: Tensor, objective: Numbers | Objective | None, ask: Ask) -> _Asked:
        """What is asked of bounds around x, checked."""
        compiled = self.compiled(x)
        plan = compiled.plan
        chosen = call_options(plan.options, ask)
        target = plan.graph[bounded_node(ask, plan.graph)]
        parts = checked_parts(ask, plan, x)
        functions = None if objective is None else checked_objective(objective, x, target.shape, parts.owner)
        check_rows(parts, target.name, 0 if functions is None else functions.count)
        return _Asked(compiled, chosen, checked_ask(ask, plan, x), parts, functions)

    def _bounded(self, region: Support, asked: _Asked, run: Executed | None) -> DualResult:
        compiled, chosen, ask, parts, functions = asked
        plan, x = compiled.plan, region.centre
        if ask.known:
            refute_known(ask.known, plan.graph, self.environment(compiled, x.double()), region)
        question = Question(self.tensors(compiled), region, of_subproblems(ask, parts), parts, functions)
        alone = functions.count if functions is not None and _all_given(plan, parts) else None
        stream = None if chosen.projection is None else self._stream(chosen.projection, chosen.rigorous)
        call = Call(plan, chosen, x.dtype, x.device, stream, run, compiled.replays)
        found = in_chunks(call, question, SampleSize(plan.graph, x, chosen, rows=alone))
        return found if checking() else mapped(found, nan_unless_met)

    def _run(self, x: Tensor) -> Executed:
        """The graph and the dtypes of a run of the model on samples like x.

        The dtype is the narrowest one of the model's tensors, or x's if it has none. Where the graph converts to a
        narrower one that counts too, since values may stay in it for any number of operations. Two dtypes that are as
        narrow both count: neither holds the other's numbers.
        """
        compiled = self.compiled(x)
        dtypes = {tensor.dtype for tensor in self.tensors(compiled).values() if tensor.is_floating_point()} or {x.dtype}
        dtypes |= {node.op.narrows for node in compiled.graph if node.op.narrows is not None}
        narrowest = min(dtype.itemsize for dtype in dtypes)
        kept = [dtype for dtype in dtypes if dtype.itemsize == narrowest]
        return Executed(compiled.graph, tuple(sorted(kept, key=lambda dtype: -torch.finfo(dtype).eps)))

    def _stream(self, projection: Projection, rigorous: bool) -> Stream:
        """The random numbers of a call.

        Training draws new ones at each call. Those of certificates depend on the seed alone, so that any process can
        compute them again in any order; they are never the numbers that a network was trained with.
        """
        if projection.seed is None:
            return Stream.next_of_torch()
        if projection.certifies:
            return Stream(("certificate" if rigorous else "bound", projection.seed))
        if not checking():
            raise CaptureError("a graph would use the same random projections at each call; compile without them")
        self.draws += 1
        return Stream(("training", projection.seed, self.draws))
