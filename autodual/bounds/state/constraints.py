"""Linear constraints on values of nodes, with multipliers: what splits, cutting planes and assumptions all are.

Of a constraint Σ_n ⟨a_n, z_n⟩ ≥ b and a number β ≥ 0, every point that keeps it has

    ⟨ν, z⟩ ≥ ⟨ν, z⟩ - β (Σ_n ⟨a_n, z_n⟩ - b),

so that rows -β a_n may wait at the nodes n beside a row ν on its way, whose bound gains β b. Any β ≥ 0 is sound; the
best one makes the bound as tight as the constraint can.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

import torch
from torch import Tensor

from autodual.errors import InvalidInputError

Own = TypeVar("Own", bound="Multiplied")


@dataclass(frozen=True, eq=False)
class Weighted:
    """Constraints times their multipliers, added up for each row.

    rows: Σ β a by node, `[G or 1, K, *shape]`; gain: Σ β b, `[G or 1, K]`. terms: how many products a sum has at most.
    """

    rows: Mapping[str, Tensor]
    gain: Tensor
    terms: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Multiplied(ABC):
    """C constraints at once, and their multipliers β ≥ 0; every tensor is `[B or 1, …]`, of each subproblem or of all.

    Args:
        multiplier: for the objective's rows, `[B or 1, *C]` for all of them or `[B or 1, S, *C]`; None: not used there.
        unit_multipliers: for rows of a bound site's units, by the site's name: `[B or 1, *C]` for all of them, or
            `[B or 1, 2, U, *C]` for the lower and then the upper bound of each of its U units.
    """

    multiplier: Tensor | None = None
    unit_multipliers: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    @abstractmethod
    def nodes(self) -> tuple[str, ...]:
        """The nodes whose values are constrained."""

    @property
    @abstractmethod
    def axes(self) -> int:
        """How many axes C has."""

    @abstractmethod
    def weighted(self, owner: Tensor | None, multiplier: Tensor) -> Weighted:
        """The constraints of subproblems owner `[G]` (None: of all) times multipliers `[G or 1, K, *C]`."""

    @abstractmethod
    def slack(self, owner: Tensor | None, values: Mapping[str, Tensor]) -> Tensor:
        """b - Σ_n ⟨a_n, z_n⟩, `[G, K, *C]`, at one value `[G, K, *shape]` of each node for each row: what the bound
        gains by a larger β.
        """

    @abstractmethod
    def sizes(self: Own) -> Own:
        """The same constraints with the magnitudes of a and b in their place, which rounding is relative to."""

    @abstractmethod
    def extents(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        """C, with the shapes of nodes; raises InvalidInputError where a tensor does not have its node's."""

    def check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raise InvalidInputError unless every tensor has the axes that it should, the first apart."""
        own = self.extents(shapes)
        if self.multiplier is not None and not _ends_in(self.multiplier, own):
            axes = list(self.multiplier.shape)
            raise InvalidInputError(
                f"multiplier has the shape {axes}; expected {_listed(own)} or {_listed(('S', *own))}"
            )
        for site, found in self.unit_multipliers.items():
            units = torch.Size(shapes[site]).numel()
            if tuple(found.shape[1:]) not in (own, (2, units, *own)):
                raise InvalidInputError(
                    f"the unit_multipliers of '{site}' have the shape {list(found.shape)}; expected {_listed(own)} or "
                    f"{_listed((2, units, *own))}"
                )

    @abstractmethod
    def mapped(self: Own, function: Callable[[Tensor], Tensor]) -> Own:
        """The constraints with a function of each of their tensors in its place, multipliers among them."""

    def named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """All tensors by the field that they are in, and the node's name where a field has one for each."""
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Tensor):
                yield each.name, value
            elif isinstance(value, Mapping):
                yield from ((f"{each.name}/{name}", tensor) for name, tensor in value.items())

    def _multipliers(self, function: Callable[[Tensor], Tensor]) -> dict:
        return {
            "multiplier": None if self.multiplier is None else function(self.multiplier),
            "unit_multipliers": {name: function(value) for name, value in self.unit_multipliers.items()},
        }

    def for_objective(self, owner: Tensor | None, first: int, last: int) -> Tensor | None:
        """Multipliers `[G or 1, K or 1, *C]` of the objective's rows first to last."""
        if self.multiplier is None:
            return None
        found = self.multiplier
        if found.dim() == self.axes + 1:
            found = found.unsqueeze(1)
        elif found.shape[1] > 1:
            found = found[:, first:last]
        return own(found, owner)

    def for_units(self, site: str, owner: Tensor, unit: Tensor, upper: Tensor) -> Tensor | None:
        """Multipliers `[G or 1, 1, *C]` of single rows: of units `[G]` of a site, for the upper bound where `upper`."""
        found = self.unit_multipliers.get(site)
        if found is None:
            return None
        if found.dim() == self.axes + 1:
            return own(found.unsqueeze(1), owner)
        return found[owner if found.shape[0] > 1 else torch.zeros_like(owner), upper.long(), unit].unsqueeze(1)


@dataclass(frozen=True, eq=False)
class Constraint(Multiplied):
    """Σ_n ⟨a_n, z_n⟩ ≥ b of any nodes: between inputs, of outputs, a cutting plane.

    Args:
        rows: a_n by node, `[B or 1, C, *shape]`.
        bound: b, `[B or 1, C]`.
        multiplier, unit_multipliers: β ≥ 0, see `Multiplied`; C has one axis.

    Example:
        >>> import autodual, torch
        >>> dual = autodual.compile_dual(torch.nn.Identity())
        >>> x, ball, total = torch.zeros(1, 2), autodual.LinfBall(1.0), torch.ones(1, 2)
        >>> one = torch.ones(1, 1)
        >>> at_least_one = autodual.Constraint({"x": torch.ones(1, 1, 2)}, one, multiplier=one)
        >>> dual.lower_bounds(x, ball, total), dual.lower_bounds(x, ball, total, constraints=[at_least_one])
        (tensor([[-2.]]), tensor([[1.]]))
    """

    rows: Mapping[str, Tensor]
    bound: Tensor

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(self.rows)

    @property
    def axes(self) -> int:
        return 1

    def extents(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        count = tuple(self.bound.shape[1:])
        for name, row in self.rows.items():
            if len(count) != 1 or tuple(row.shape[1:]) != (*count, *shapes[name]):
                raise InvalidInputError(
                    f"a constraint's rows on '{name}' have the shape {list(row.shape)} and its bound "
                    f"{list(self.bound.shape)}; expected {_listed(('C', *shapes[name]))} and [B or 1, C]"
                )
        return count

    def weighted(self, owner: Tensor | None, multiplier: Tensor) -> Weighted:
        rows: dict[str, Tensor] = {}
        for name, row in self.rows.items():
            mine = own(row, owner)
            product = multiplier @ mine.reshape(*mine.shape[:2], -1)
            rows[name] = product.reshape(*product.shape[:2], *mine.shape[2:])
        gain = (multiplier @ own(self.bound, owner).unsqueeze(-1)).squeeze(-1)
        return Weighted(rows, gain, self.bound.shape[1])

    def slack(self, owner: Tensor | None, values: Mapping[str, Tensor]) -> Tensor:
        found = own(self.bound, owner).unsqueeze(1)
        for name, row in self.rows.items():
            mine, value = own(row, owner), values[name]
            flat = mine.reshape(*mine.shape[:2], -1).transpose(1, 2)
            found = found - value.reshape(*value.shape[:2], -1) @ flat
        return found

    def sizes(self) -> Constraint:
        return replace(self, rows={name: row.abs() for name, row in self.rows.items()}, bound=self.bound.abs())

    def mapped(self, function: Callable[[Tensor], Tensor]) -> Constraint:
        rows = {name: function(row) for name, row in self.rows.items()}
        return replace(self, rows=rows, bound=function(self.bound), **self._multipliers(function))


@dataclass(frozen=True, eq=False)
class Split(Multiplied):
    """sign · z ≥ sign · point for units of one node: each on one side of a point. C is the node's shape.

    The interval that ends at the point belongs to it (`given`); multipliers bring in what that cannot.

    Args:
        node: the node that is split.
        sign: 1 where z ≥ point, -1 where z ≤ point, 0 where nothing is said, `[B or 1, *shape]`.
        point: `[B or 1, *shape]`.
        multiplier, unit_multipliers: β ≥ 0, see `Multiplied`; C has the node's axes.

    Example:
        >>> import autodual, torch
        >>> dual = autodual.compile_dual(torch.nn.Identity())
        >>> x, ball, row = torch.zeros(1, 2), autodual.LinfBall(1.0), torch.tensor([[1.0, 0.0]])
        >>> split = autodual.Split("x", torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2), multiplier=torch.ones(1, 2))
        >>> dual.lower_bounds(x, ball, row, constraints=[split])
        tensor([[0.]])
    """

    node: str
    sign: Tensor
    point: Tensor

    @property
    def nodes(self) -> tuple[str, ...]:
        return (self.node,)

    @property
    def axes(self) -> int:
        return self.sign.dim() - 1

    def extents(self, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
        for what, tensor in (("sign", self.sign), ("point", self.point)):
            if tuple(tensor.shape[1:]) != shapes[self.node]:
                raise InvalidInputError(
                    f"the {what} of a split of '{self.node}' has the shape {list(tensor.shape)}; expected "
                    f"{_listed(shapes[self.node])}"
                )
        return shapes[self.node]

    def weighted(self, owner: Tensor | None, multiplier: Tensor) -> Weighted:
        rows = multiplier * own(self.sign, owner).unsqueeze(1)
        products = (rows * own(self.point, owner).unsqueeze(1)).reshape(*rows.shape[:2], -1)
        return Weighted({self.node: rows}, products.sum(2), products.shape[2])

    def slack(self, owner: Tensor | None, values: Mapping[str, Tensor]) -> Tensor:
        sign, point = (own(part, owner).unsqueeze(1) for part in (self.sign, self.point))
        return sign * (point - values[self.node])

    def sizes(self) -> Split:
        return replace(self, sign=self.sign.abs(), point=self.point.abs())

    def mapped(self, function: Callable[[Tensor], Tensor]) -> Split:
        return replace(self, sign=function(self.sign), point=function(self.point), **self._multipliers(function))


def _ends_in(multiplier: Tensor, own: tuple[int, ...]) -> bool:
    """Whether multipliers are `[B or 1, *C]` or `[B or 1, S, *C]`."""
    axes = tuple(multiplier.shape)
    return axes[1:] == own or (len(axes) > 2 and axes[2:] == own)


def _listed(axes: Sequence[int | str]) -> str:
    return f"[B or 1, {', '.join(map(str, axes))}]"


def own(values: Tensor, owner: Tensor | None) -> Tensor:
    """Each group's own: values `[B or 1, …]` as `[G or 1, …]`."""
    return values if owner is None or values.shape[0] == 1 else values[owner]


def multiplied(constraints: Sequence[Own], multipliers: Sequence[Tensor | None]) -> tuple[Own, ...]:
    """Constraints with other multipliers for the objective's rows."""
    return tuple(replace(one, multiplier=found) for one, found in zip(constraints, multipliers, strict=True))
