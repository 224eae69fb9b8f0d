"""The dual network: a module that shares the model's parameters and returns guaranteed bounds of its outputs."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from autodual.estimators import Stream
from autodual.inputs import Labels, Numbers, Samples, number_tensor, sample_tensor
from autodual.interval import Interval
from autodual.network.call import Call, Executed, Given, call_options, checked_objective
from autodual.network.chunks import SampleSize, in_chunks
from autodual.network.compiled import CompiledNetwork
from autodual.network.known import checked_known, refute_known
from autodual.network.result import DualResult
from autodual.objective import Objective
from autodual.perturbations import PerturbationSet, perturbation_set
from autodual.policies import InnerBounds, LastBound, Projection, SlopePolicy
from autodual.tensors import bounding_dtype


class DualNetwork(CompiledNetwork):
    """A network's dual: bounds of linear functions of its outputs over perturbation sets, differentiable.

    Holds the model itself as a submodule. Its parameters and buffers are live: after an optimiser step, or with a
    parametrisation registered later, the next call is right. Nothing else is: other attributes, plain tensors, hooks
    and the layers themselves are those at compilation, and after a change to them bounds are still those of the old
    network, until `compile_dual` is called again. `certify`, `certified_radius`, `detect` and `verify` notice that at
    the samples and raise ModelChangedError; the methods here do not look.

    Bounds are those of the model in inference mode, whatever mode it is in, computed in the dtype of `x`. Samples in
    half precision are bounded in float32, and their bounds stay float32; the parameters are those stored. Constants
    that a model takes from its dtype are those of the dtype that it was traced in. If a projection pass is in the plan
    bounds are estimates: a call's `DualResult` says with what probability of failure.

    Build one with `autodual.compile_dual`.
    """

    #: How many calls have drawn random numbers from a seed: the next call draws others.
    draws: int = 0

    # --- the one entry ----------------------------------------------------------------------------------------------

    def forward(
        self,
        x: Samples,
        ball: PerturbationSet,
        objective: Numbers | Objective | None = None,
        *,
        slopes: SlopePolicy | None = None,
        inner: InnerBounds | None = None,
        last: LastBound | None = None,
        known: Mapping[str, Interval] | None = None,
        rigorous: bool = False,
        linear: bool = False,
        sites: bool = False,
        all_units: bool = False,
        exact: bool = False,
        executed: bool = False,
    ) -> DualResult:
        """Lower bounds `[N, S]` of linear functions of the outputs over the set around each sample.

        Args:
            x: samples `[N, *shape]`.
            ball: the set around each.
            objective: the functions' coefficients, `[S, *output shape]` for all samples or `[N, S, *output shape]`, as
                a tensor, an array or lists. The outputs' axes may be flattened, as `[S, K]` and `[N, S, K]`; where both
                readings fit, that is the one. Without an objective only the intervals of the bound sites are computed.
            slopes: see `BoundOptions`, as for `inner` and `last`.
            known: intervals of bound sites proved elsewhere, which bounds then assume.
            rigorous: bounds allow for their own rounding error.
            linear: also return the linear functions that prove them.
            sites: also return the intervals of the bound sites.
            all_units: a dual bound for every unit, also the decided ones.
            exact: estimate nothing, whatever the plan says; nor do rigorous bounds ever use estimates that prove
                nothing.
            executed: beside rigorous bounds, how far a run of the model in its own dtype may be from what they are of.

        Raises:
            InvalidInputError: a shape, a dtype or an option does not fit.
            EmptySetError: a set has no points, or what is assumed is provably false.

        Example:
            >>> import autodual, torch
            >>> dual = autodual.compile_dual(torch.nn.ReLU())
            >>> dual(torch.tensor([[1.0, -1.0]]), autodual.LinfBall(0.5), torch.eye(2)).lower
            tensor([[0.5000, 0.0000]])
        """
        x = sample_tensor(x)
        run = self._run(x) if executed and rigorous else None
        compiled, x = self.compiled(x), x.to(bounding_dtype(x.dtype))
        plan = compiled.plan
        options = call_options(
            plan.options, slopes=slopes, inner=inner, last=last, rigorous=rigorous, all_units=all_units, exact=exact
        )
        output = plan.graph[plan.graph.outputs[0]]
        asked = None if objective is None else checked_objective(objective, x, output.shape)
        given = Given(self.tensors(compiled), perturbation_set(ball).at(x), checked_known(known, plan, x), asked)
        refute_known(given.known, plan.graph, self.environment(compiled, x.double()), given.region)
        stream = None if options.projection is None else self._stream(options.projection, rigorous)
        call = Call(plan, options, x.dtype, x.device, stream, linear, sites, run)
        return in_chunks(call, given, SampleSize(plan.graph, x, options))

    def _run(self, x: Tensor) -> Executed:
        """The model as it is run on samples like x: in the narrowest dtype of its numbers, or in x's if it has none.

        What it converts to a narrower one on its way may stay in that for any number of operations.
        """
        compiled = self.compiled(x)
        dtypes = {tensor.dtype for tensor in self.tensors(compiled).values() if tensor.is_floating_point()} or {x.dtype}
        dtypes |= {node.op.narrows for node in compiled.graph if node.op.narrows is not None}
        dtype = max(dtypes, key=lambda kind: torch.finfo(kind).eps)
        return Executed(compiled.graph, dtype)

    def _stream(self, projection: Projection, rigorous: bool) -> Stream:
        """The random numbers of a call. Training takes new ones each time; a certificate's are its seed's, so that it
        can be made again, in any order and by any process, and are never those that a network was trained with.
        """
        if projection.seed is None:
            return Stream.next_of_torch()
        if projection.certifies:
            return Stream(("certificate" if rigorous else "bound", projection.seed))
        self.draws += 1
        return Stream(("training", projection.seed, self.draws))

    # --- conveniences -----------------------------------------------------------------------------------------------

    def lower_bounds(
        self,
        x: Samples,
        ball: PerturbationSet,
        objective: Numbers | Objective,
        *,
        slopes: SlopePolicy = "shared",
        inner: InnerBounds = "dual",
        last: LastBound = "dual",
        known: Mapping[str, Interval] | None = None,
        exact: bool = False,
        return_linear: bool = False,
    ):
        """Lower bounds `[N, S]` of objective·f(z) over the set; differentiable, and without an allowance for rounding.

        Of the compiled graph with the parameters and buffers as they are now; see the class for what is not live.

        Args:
            x: samples `[N, *shape]`.
            ball: the set around each.
            objective: `[S, *output shape]` or `[N, S, *output shape]`, see `forward`.
            slopes: `shared` (the thesis' linear dual), `adaptive` or `optimized`; see `BoundOptions`, as for `inner`,
                how bounds inside are computed, and `last`, how the last one is.
            known: intervals of bound sites proved elsewhere, which bounds then assume.
            exact: estimate nothing, whatever the plan says.
            return_linear: also return coefficients `[N, S, *shape]` and offset `[N, S]` of linear functions below
                objective·f on the set.

        Raises:
            InvalidInputError: a shape, a dtype or an option does not fit.
            EmptySetError: a set has no points, or what is assumed is provably false.

        Example:
            >>> import autodual, torch
            >>> dual = autodual.compile_dual(torch.nn.ReLU())
            >>> x, ball = torch.tensor([[1.0, -1.0]]), autodual.LinfBall(0.5)
            >>> dual.lower_bounds(x, ball, torch.tensor([[1.0, 1.0], [-1.0, 0.0]]))
            tensor([[ 0.5000, -1.5000]])
        """
        asked = objective if isinstance(objective, Objective) else number_tensor(objective, "objective")
        found = self(
            x, ball, asked, slopes=slopes, inner=inner, last=last, known=known, exact=exact, linear=return_linear
        ).objective
        if not return_linear:
            return found.lower
        (coefficients,) = found.linear.coefficients.values()
        return found.lower, coefficients, found.linear.offset

    def upper_bounds(
        self,
        x: Samples,
        ball: PerturbationSet,
        objective: Numbers,
        *,
        slopes: SlopePolicy = "shared",
        inner: InnerBounds = "dual",
        last: LastBound = "dual",
        known: Mapping[str, Interval] | None = None,
        exact: bool = False,
        return_linear: bool = False,
    ):
        """Upper bounds `[N, S]` of objective·f(z) over the set, the lower ones of -objective turned around.

        Of the compiled graph with the parameters and buffers as they are now; see the class for what is not live.

        Args:
            x: as in `lower_bounds`, like all others (`ball`, `objective`, `slopes`, `inner`, `last`, `known`, `exact`).
            return_linear: also return coefficients and offset of linear functions above objective·f on the set.

        Example:
            >>> import autodual, torch
            >>> dual = autodual.compile_dual(torch.nn.ReLU())
            >>> dual.upper_bounds(torch.tensor([[1.0, -1.0]]), autodual.LinfBall(0.5), torch.eye(2))
            tensor([[1.5000, -0.0000]])
        """
        found = self.lower_bounds(
            x,
            ball,
            -number_tensor(objective, "objective"),
            slopes=slopes,
            inner=inner,
            last=last,
            known=known,
            exact=exact,
            return_linear=return_linear,
        )
        return tuple(-part for part in found) if return_linear else -found

    def margins(
        self,
        x: Samples,
        labels: Labels,
        ball: PerturbationSet,
        *,
        slopes: SlopePolicy = "shared",
        inner: InnerBounds = "dual",
        last: LastBound = "dual",
        known: Mapping[str, Interval] | None = None,
        exact: bool = False,
    ) -> Tensor:
        """Lower bounds of f_y - f_j over the set for every class j, in the layout of the outputs (equation 3.24).

        Of the compiled graph with the parameters and buffers as they are now; see the class for what is not live.

        Args:
            x: samples `[N, *shape]`.
            labels: `[N]`, or label maps such as `[N, H, W]` of a per-pixel classifier.
            ball: the set around each sample.
            slopes: as in `lower_bounds`, like `inner`, `last`, `known` and `exact`.

        Returns:
            `[N, K]` for labels `[N]`, `[N, C, H, W]` for label maps `[N, H, W]`. The label's own entry is 0, as are
            those of positions with the label -100.

        Raises:
            InvalidInputError: labels do not fit.

        Example:
            >>> import autodual, torch
            >>> dual = autodual.compile_dual(torch.nn.ReLU())
            >>> dual.margins(torch.tensor([[1.0, -1.0, 0.5]]), [0], autodual.LinfBall(0.25))
            tensor([[0.0000, 0.7500, 0.0000]])
        """
        x = sample_tensor(x)
        rows = self.label_rows(x, labels)
        lower = self.lower_bounds(x, ball, rows, slopes=slopes, inner=inner, last=last, known=known, exact=exact)
        return rows.complete(lower).reshape(x.shape[0], *self.output_shape(x))

    def bounds(
        self,
        x: Samples,
        ball: PerturbationSet,
        *,
        slopes: SlopePolicy = "shared",
        known: Mapping[str, Interval] | None = None,
    ) -> Mapping[str, Interval]:
        """Dual bounds of every unit of every bound site: node name → Interval `[N, *shape]`, in topological order.

        Exact ones, whatever the plan says of projections: they may be handed on as `known`.
        Of the compiled graph with the parameters and buffers as they are now; see the class for what is not live.

        Args:
            x: samples `[N, *shape]`.
            ball: the set around each.
            slopes: of the bounds, see `BoundOptions`.
            known: intervals of bound sites that are proved elsewhere.

        Example:
            >>> import autodual, torch
            >>> dual = autodual.compile_dual(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU()))
            >>> found = dual.bounds(torch.rand(5, 4), autodual.LinfBall(0.1))
            >>> {name: tuple(interval.shape) for name, interval in found.items()}
            {'linear': (5, 8)}
        """
        return self(x, ball, slopes=slopes, known=known, all_units=True, exact=True).intervals
