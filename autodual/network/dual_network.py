"""The dual network: a module that shares the model's parameters and returns guaranteed bounds of its outputs."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from typing_extensions import Unpack

from autodual.inputs import Labels, Numbers, Samples, number_tensor, sample_tensor
from autodual.interval import Interval
from autodual.network.ask import Ask
from autodual.network.ask_options import LinearOptions, MethodOptions, PartOptions
from autodual.network.bounding import BoundingNetwork
from autodual.network.given_parts import owner_of
from autodual.network.keywords import takes
from autodual.objective import Objective
from autodual.perturbations import PerturbationSet, perturbation_set

# The dual bounds of the thesis, in every layer, unless a caller says otherwise.
_bound_method = takes(MethodOptions, slopes="shared", inner="dual", last="dual")
_linear_method = takes(LinearOptions, slopes="shared", inner="dual", last="dual")


class DualNetwork(BoundingNetwork):
    """A network's dual: bounds of linear functions of its outputs over perturbation sets, differentiable.

    The model itself is a submodule. Its parameters and buffers are live: bounds use their values at each call, after an
    optimiser step or under a parametrisation registered later. Everything else (other attributes, plain tensors, hooks,
    the layers themselves) is as it was at compilation: after a change bounds are still those of the old network, until
    `compile_dual` is called again. `certify`, `certified_radius`, `detect` and `verify` run the model at the samples
    and raise ModelChangedError if it has changed; the methods here do not check.

    Bounds are those of the model in inference mode, whatever mode it is in, computed in the dtype of `x`. Samples in
    half precision are bounded in float32, and their bounds stay float32; the parameters keep their stored values.
    Constants that a model computes from its dtype are those of the dtype that it was traced in. With a projection pass
    bounds are estimates, and the `DualResult` of a call says with what probability they fail.

    Build one with `autodual.compile_dual`.
    """

    @_linear_method
    def lower_bounds(
        self,
        x: Samples,
        ball: PerturbationSet,
        objective: Numbers | Objective,
        *,
        return_linear: bool = False,
        ask: Ask | None = None,
        **options: Unpack[LinearOptions],
    ):
        """Lower bounds `[N, S]` of objective·f(z) over the set; differentiable.

        Without an allowance for rounding, unless `rigorous` asks for it.
        The compiled graph is bounded, with the parameters and buffers as they are now (see the class).

        Args:
            x: samples `[N, *shape]`.
            ball: the set around each.
            objective: `[S, *output shape]` or `[N, S, *output shape]`, see `forward`.
            return_linear: also return coefficients `[N, S, *shape]` and offset `[N, S]` of linear functions below
                objective·f on the set. Over a union they are below it on the members' convex hull, with bounds to
                match; else each member is bounded by itself.

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
        ask = Ask.of(ask, options, DualNetwork.lower_bounds)
        rows = objective if isinstance(objective, Objective) else number_tensor(objective, "objective")
        if not return_linear:
            return self._least(x, ball, rows, ask)
        found = self(x, ball, rows, ask=ask, linear=True).objective
        (coefficients,) = found.linear.coefficients.values()
        return found.lower, coefficients, found.linear.offset

    def _least(self, x: Samples, ball: PerturbationSet, rows: Tensor | Objective, ask: Ask) -> Tensor:
        """Lower bounds `[N, S]`; over a union the least of those over its members, each of which is bounded alone."""
        found = [self(x, member, rows, ask=ask).objective.lower for member in perturbation_set(ball).members()]
        return found[0] if len(found) == 1 else torch.stack(found).amin(0)

    @_linear_method
    def upper_bounds(
        self,
        x: Samples,
        ball: PerturbationSet,
        objective: Numbers,
        *,
        return_linear: bool = False,
        ask: Ask | None = None,
        **options: Unpack[LinearOptions],
    ):
        """Upper bounds `[N, S]` of objective·f(z) over the set: the negated lower bounds of -objective.

        The compiled graph is bounded, with the parameters and buffers as they are now (see the class).

        Args:
            x: as in `lower_bounds`, like `ball` and `objective`.
            return_linear: also return coefficients and offset of linear functions above objective·f on the set.

        Example:
            >>> import autodual, torch
            >>> dual = autodual.compile_dual(torch.nn.ReLU())
            >>> dual.upper_bounds(torch.tensor([[1.0, -1.0]]), autodual.LinfBall(0.5), torch.eye(2))
            tensor([[1.5000, -0.0000]])
        """
        ask = Ask.of(ask, options, DualNetwork.upper_bounds)
        found = self.lower_bounds(x, ball, -number_tensor(objective, "objective"), ask=ask, return_linear=return_linear)
        return tuple(-part for part in found) if return_linear else -found

    @_bound_method
    def margins(
        self,
        x: Samples,
        labels: Labels,
        ball: PerturbationSet,
        *,
        ask: Ask | None = None,
        **options: Unpack[MethodOptions],
    ) -> Tensor:
        """Lower bounds of f_y - f_j over the set for every class j, in the layout of the outputs (equation 3.24).

        The compiled graph is bounded, with the parameters and buffers as they are now (see the class).

        Args:
            x: samples `[N, *shape]`.
            labels: `[N]`, or label maps such as `[N, H, W]` of a per-pixel classifier.
            ball: the set around each sample.

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
        ask, x = Ask.of(ask, options, DualNetwork.margins), sample_tensor(x)
        rows, owner = self.label_rows(x, labels), owner_of(ask, x)
        lower = self.lower_bounds(x, ball, rows, ask=ask)
        own = rows if owner is None else rows.part(owner)
        return own.complete(lower).reshape(lower.shape[0], *self.output_shape(x))

    @takes(PartOptions, slopes="shared", all_units=True)
    def bounds(
        self, x: Samples, ball: PerturbationSet, *, ask: Ask | None = None, **options: Unpack[PartOptions]
    ) -> Mapping[str, Interval]:
        """Dual bounds of every unit of every bound site: node name → Interval `[N, *shape]`, in topological order.

        Nothing is estimated, whatever passes the network has, so that the intervals can be passed on as `known`.
        The compiled graph is bounded, with the parameters and buffers as they are now (see the class).

        Args:
            x: samples `[N, *shape]`.
            ball: the set around each.

        Example:
            >>> import autodual, torch
            >>> dual = autodual.compile_dual(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU()))
            >>> found = dual.bounds(torch.rand(5, 4), autodual.LinfBall(0.1))
            >>> {name: tuple(interval.shape) for name, interval in found.items()}
            {'linear': (5, 8)}
        """
        return self(x, ball, ask=Ask.of(ask, options, DualNetwork.bounds), exact=True).intervals
