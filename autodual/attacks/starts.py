"""Starts: the points from which an attack sets out, always in the set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from autodual.attacks.geometry import per_sample_norm, uncut_direction
from autodual.errors import InvalidInputError
from autodual.perturbations import Searchable, Support


class Start(ABC):
    """Where to begin; a frozen dataclass whose fields are its options."""

    #: Whether it gives other points each time, so that restarts make sense.
    random: ClassVar[bool] = True

    @abstractmethod
    def points(self, region: Searchable, generator: torch.Generator) -> Tensor:
        """One point of the region for each sample, `[N, *shape]`.

        Args:
            region: the set, placed around N samples.
            generator: of random numbers, on the region's device.
        """

    def turn(self, restart: int) -> Start:
        """The start of the restart number `restart`, counted from 0."""
        return self


@dataclass(frozen=True)
class Zero(Start):
    """The samples themselves, or the nearest points of the set."""

    random: ClassVar[bool] = False

    def points(self, region: Searchable, generator: torch.Generator) -> Tensor:
        return region.project(region.centre.detach())


@dataclass(frozen=True)
class Scattered(Start):
    """The set's own random points, many of them on its boundary."""

    def points(self, region: Searchable, generator: torch.Generator) -> Tensor:
        return region.sample(1, generator)[0]


@dataclass(frozen=True)
class Uniform(Start):
    """Every feature uniform in its interval; in balls of other norms a uniform direction, and as uniform a length.

    A ball is sampled before it is cut down to a domain, and points outside go to the nearest ones inside.

    share: of the radius of a ball, in which the points are drawn. cut: whether points of a ball outside the domain are
    brought inside; else they stay there, outside the set.
    """

    share: float = 1.0
    cut: bool = True

    def points(self, region: Searchable, generator: torch.Generator) -> Tensor:
        return region.each(lambda factor, centre: self._point(factor, centre, generator), region.centre)

    def _point(self, region: Searchable, centre: Tensor, generator: torch.Generator) -> Tensor:
        """A point of a set that is no product."""
        order = region.norm_order
        if order is None and not (isinstance(region, Support) and region.independent):
            return region.sample(1, generator)[0]
        if order is None:
            lower, upper = (region.steepest(sign * torch.ones_like(centre)) for sign in (-1, 1))
            return region.project(lower + _uniform(centre.shape, centre, generator) * (upper - lower))
        if order == torch.inf:
            offset = self.share * region.radii * (2 * _uniform(centre.shape, centre, generator) - 1)
        else:
            length = self.share * region.per_feature(_uniform((region.count,), centre, generator))
            offset = length * uncut_direction(region, _normal(centre, generator))
        return region.project(centre + offset) if self.cut else centre + offset


@dataclass(frozen=True)
class Outward(Start):
    """Uniform features in an l∞ ball or a box; in a round ball its farthest point in a random direction.

    Cut down to the domain, a ball is wider in some directions than in others, and its farthest point is still at its
    edge. In an l1 ball, whose farthest points move single features, it is a random direction as far as the radius goes.

    member: in a union the member in which the points lie, counted from 0 and around; each restart takes the next.
    """

    member: int = 0

    def points(self, region: Searchable, generator: torch.Generator) -> Tensor:
        region = region.members[self.member % len(region.members)]
        return region.each(lambda factor, centre: self._point(factor, centre, generator), region.centre)

    def turn(self, restart: int) -> Outward:
        return replace(self, member=self.member + restart)

    def _point(self, region: Searchable, centre: Tensor, generator: torch.Generator) -> Tensor:
        order = region.norm_order
        if order is None or order == torch.inf:
            return Uniform().points(region, generator)
        direction = _normal(centre, generator)
        if order > 1:
            return region.steepest(direction)
        return region.project(centre + region.radii * direction / per_sample_norm(direction, order))


@dataclass(frozen=True)
class Hypercube(Start):
    """A random corner of the set shrunk to `share` of its radius (Tramèr et al., 2018).

    cut: as in `Uniform`.
    """

    share: float = 0.5
    cut: bool = True

    def points(self, region: Searchable, generator: torch.Generator) -> Tensor:
        corner = region.centre + self.share * uncut_direction(region, _normal(region.centre, generator))
        return region.project(corner) if self.cut else corner


@dataclass(frozen=True)
class Gaussian(Start):
    """The sample plus normal noise of a standard deviation in units of the input."""

    deviation: float = 0.001

    def points(self, region: Searchable, generator: torch.Generator) -> Tensor:
        return region.project(region.centre + self.deviation * _normal(region.centre, generator))


@dataclass(frozen=True, eq=False)
class Previous(Start):
    """The samples plus an offset `[M, *shape]` of before, M ≥ N, of which the first N are taken."""

    random: ClassVar[bool] = False

    offset: Tensor

    def points(self, region: Searchable, generator: torch.Generator) -> Tensor:
        if self.offset.shape[0] < region.count or self.offset.shape[1:] != region.shape:
            raise InvalidInputError(
                f"the offset to start from must have the shape {list(region.centre.shape)}, or more samples, but has "
                f"{list(self.offset.shape)}"
            )
        return region.project(region.centre + self.offset[: region.count].to(region.centre))


@dataclass(frozen=True, eq=False)
class Given(Start):
    """Points `[N, *shape]` that the caller has, or the nearest ones of the set."""

    random: ClassVar[bool] = False

    given: Tensor

    def points(self, region: Searchable, generator: torch.Generator) -> Tensor:
        if self.given.shape != region.centre.shape:
            raise InvalidInputError(
                f"the points to start from must have the shape {list(region.centre.shape)}, but have "
                f"{list(self.given.shape)}"
            )
        return region.project(self.given.to(region.centre))


#: Starts by the names that attacks' fields and the command line have for them.
STARTS: dict[str, Start] = {
    "zero": Zero(),
    "scattered": Scattered(),
    "uniform": Uniform(),
    "outward": Outward(),
    "hypercube": Hypercube(),
    "gaussian": Gaussian(),
}


def start_named(name: str | Start) -> Start:
    """The start of a name, or the start itself; raises InvalidInputError for other names."""
    if isinstance(name, Start):
        return name
    if name not in STARTS:
        raise InvalidInputError(f"{name!r} is no start of an attack; there are {', '.join(STARTS)}")
    return STARTS[name]


def _uniform(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, dtype=like.dtype, device=like.device)


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)
