"""`check_perturbation_set`, which tests a perturbation set for every property that bounds and attacks rely on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from autodual.errors import AutodualError, InvalidInputError
from autodual.inputs import Samples, sample_tensor
from autodual.perturbations import PerturbationSet, Searchable, Support, WholeView
from autodual.perturbations.regions.view import padded
from autodual.tensors import flat

_VIEW = WholeView()
# Number of rows and of points on which each property is tested.
_ROWS = 12


class PerturbationSetError(AutodualError, AssertionError):
    """A perturbation set breaks its contract; the message names the property, the sample and by how much."""


def check_perturbation_set(
    perturbation: PerturbationSet,
    x: Samples,
    *,
    dtypes: Sequence[torch.dtype] = (torch.float64, torch.float32),
    exact: bool = True,
    gradients: bool = True,
    points: int = 256,
    seed: int = 0,
) -> None:
    """Check that a perturbation set keeps its contract around some samples.

    Of a set that can be bounded over: extremes are in order, and the enclosure contains those of unit rows; rows
    may be shared, scaled, negated and, if the set says so, cut to windows; the minimum is superadditive where the set
    says so; NaN stays NaN; rounding is covered in narrow dtypes; gradients are finite. Of one that can be searched:
    random points, corners, projections and steepest points are in it, and projections move nothing that is. Of one with
    both: no point that it contains has a value beyond the extremes, nor lies outside the enclosure, and the steepest
    points attain the extremes. Of all: selecting samples commutes with everything, and dtype and device are kept.

    Args:
        perturbation: the set.
        x: samples `[N, *shape]` to try it around; at least two, with at least two features.
        dtypes: the dtypes to check in; results in other dtypes than float64 are compared with float64.
        exact: whether extremes and steepest points are exact; False if the set gives only bounds of them.
        gradients: whether derivatives of extremes must be finite.
        points: how many random points to draw around each sample; fewer where membership is dear.
        seed: the seed of the random rows and points.

    Raises:
        PerturbationSetError: the set breaks its contract.
        InvalidInputError: the set is neither a `Support` nor `Searchable`, or the samples are too few.

    Example:
        >>> import autodual, torch
        >>> from autodual.testing import check_perturbation_set
        >>> check_perturbation_set(autodual.L2Ball(0.3), torch.rand(2, 5))
    """
    x = sample_tensor(x)
    if x.shape[0] < 2 or x[0].numel() < 2:
        raise InvalidInputError(f"give at least two samples of two features each, not {list(x.shape)}")
    for dtype in dtypes:
        case = _Case(perturbation, x.to(dtype), exact, seed, points)
        if isinstance(case.placed, Support):
            _check_support(case, case.placed, gradients=gradients)
        if isinstance(case.placed, Searchable):
            _check_searchable(case, case.placed)
        if isinstance(case.placed, Support) and isinstance(case.placed, Searchable):
            _check_both(case, case.placed, case.placed)
        if not isinstance(case.placed, (Support, Searchable)):
            raise InvalidInputError(
                f"{type(case.placed).__name__} is neither a Support nor Searchable, so there is nothing to check"
            )


@dataclass(frozen=True, eq=False)
class _Case:
    """A set around samples in one dtype."""

    perturbation: PerturbationSet
    x: Tensor
    exact: bool
    seed: int
    points: int

    @property
    def placed(self):
        return self.perturbation.at(self.x)

    def generator(self, place: int) -> torch.Generator:
        return torch.Generator(self.x.device).manual_seed(self.seed * 1009 + place)

    def rows(self, place: int = 0) -> Tensor:
        """`[N, K, *shape]`: random rows, sparse ones, unit ones, and one of zeros."""
        size = (self.x.shape[0], _ROWS, *self.x.shape[1:])
        generator = self.generator(place)
        found = torch.randn(size, generator=generator, dtype=self.x.dtype, device=self.x.device)
        sparse = torch.rand(size, generator=generator, dtype=self.x.dtype, device=self.x.device) < 0.3
        found[:, _ROWS // 2 :] = found[:, _ROWS // 2 :] * sparse[:, _ROWS // 2 :]
        found[:, -1] = 0
        return found

    def require(self, holds: Tensor, broken: str, by: Tensor | None = None) -> None:
        """Raise PerturbationSetError, naming the first sample, unless all of `holds` `[N, …]` is true."""
        if bool(holds.all()):
            return
        sample = int((~holds).nonzero()[0][0])
        amount = "" if by is None else f", by {float(by.detach()[~holds].abs().max()):.4g}"
        kind = str(self.x.dtype).removeprefix("torch.")
        raise PerturbationSetError(
            f"{type(self.perturbation).__name__} ({self.perturbation.describe()}; {kind}): {broken} at sample "
            f"{sample}{amount}"
        )

    def slack(self, nu: Tensor, placed: Support) -> Tensor:
        """Bound of the rounding error of rows' values, `[N, K]`; squares of tiny numbers may underflow to 0."""
        limits, terms = torch.finfo(self.x.dtype), self.x[0].numel()
        largest = placed.enclosure().magnitude
        size = flat(nu.abs() * largest.unsqueeze(1), 2).sum(2)
        vanished = 2 * math.sqrt(terms * limits.tiny / limits.eps) * (1 + flat(largest).amax(1, keepdim=True))
        return 64 * terms * limits.eps * size + vanished


def _check_support(case: _Case, placed: Support, *, gradients: bool) -> None:
    nu = case.rows()
    lower, upper = placed.extremes(nu, _VIEW)
    slack = case.slack(nu, placed)
    expected = (case.x.shape[0], _ROWS)
    for end in (lower, upper):
        if tuple(end.shape) != expected or end.dtype != case.x.dtype or end.device != case.x.device:
            raise PerturbationSetError(
                f"extremes must be {list(expected)} in {case.x.dtype}, not {end.dtype} {end.shape}"
            )
    case.require((placed.least(nu, _VIEW) - lower).abs() <= slack, "`least` is not the first of `extremes`")
    case.require(lower <= upper + slack, "the minimum lies above the maximum", upper - lower)
    case.require((upper - lower)[:, -1].abs() <= slack[:, -1], "a row of zeros has an extreme other than 0")
    _check_algebra(case, placed, nu, (lower, upper), slack)
    _check_enclosure(case, placed)
    _check_selection(case, placed, nu, (lower, upper), slack)
    if placed.windowed and case.x.dim() > 2:
        _check_windows(case, placed)
    broken = nu.clone()
    flat(broken[:, 0])[:, 0] = torch.nan
    case.require(torch.stack(placed.extremes(broken, _VIEW))[:, :, 0].isnan().all(0), "rows that hold NaN get numbers")
    if case.x.dtype != torch.float64:
        _check_rounding(case, placed, nu, (lower, upper))
    if gradients:
        leaf = nu.clone().requires_grad_()
        (slope,) = torch.autograd.grad(torch.stack(placed.extremes(leaf, _VIEW)).sum(), leaf)
        case.require(slope.isfinite(), "the derivative of the extremes is not finite")


def _check_algebra(case: _Case, placed: Support, nu: Tensor, found: tuple[Tensor, Tensor], slack: Tensor) -> None:
    lower, upper = found
    least, _ = placed.extremes(-nu, _VIEW)
    case.require((least + upper).abs() <= slack, "the minimum of -ν is not minus the maximum of ν", least + upper)
    doubled, _ = placed.extremes(2 * nu, _VIEW)
    case.require((doubled - 2 * lower).abs() <= 2 * slack, "the minimum of 2ν is not twice ν's", doubled - 2 * lower)
    shared = placed.extremes(nu[:1], _VIEW)[0]
    repeated = placed.extremes(nu[:1].expand_as(nu).contiguous(), _VIEW)[0]
    terms = case.slack(nu[:1].expand_as(nu), placed)
    case.require((shared - repeated).abs() <= terms, "shared rows differ from repeated ones", shared - repeated)
    if placed.superadditive:
        other = case.rows(1)
        both, _ = placed.extremes(nu + other, _VIEW)
        sum_ = lower + placed.extremes(other, _VIEW)[0]
        room = slack + case.slack(other, placed)
        case.require(both >= sum_ - room, "the minimum is not superadditive, though the set says so", sum_ - both)


def _check_enclosure(case: _Case, placed: Support) -> None:
    count = case.x[0].numel()
    units = torch.eye(count, dtype=case.x.dtype, device=case.x.device).reshape(1, count, *case.x.shape[1:])
    lower, upper = placed.extremes(units, _VIEW)
    box = placed.enclosure()
    slack = case.slack(units.expand(case.x.shape[0], *units.shape[1:]), placed)
    # An enclosure may be wider than the set; it must not be narrower.
    if case.exact:
        case.require(flat(box.lower) <= lower + slack, "the enclosure's lower ends lie above the set", lower)
        case.require(flat(box.upper) >= upper - slack, "the enclosure's upper ends lie below the set", upper)
    if placed.independent:
        nu = case.rows(2)
        corner = torch.where(nu > 0, box.lower.unsqueeze(1), box.upper.unsqueeze(1))
        value = flat(nu * corner, 2).sum(2)
        gap = value - placed.extremes(nu, _VIEW)[0]
        room = case.slack(nu, placed)
        case.require(gap.abs() <= room, "features are not independent, though the set says so", gap)


def _check_selection(case: _Case, placed: Support, nu: Tensor, found: tuple[Tensor, Tensor], slack: Tensor) -> None:
    index = torch.tensor([case.x.shape[0] - 1, 0], device=case.x.device)
    for chosen in (index, slice(1, 2)):
        part = placed.select(chosen)
        again = part.source.at(part.centre)
        for one in (part, again):
            for ours, whole in zip(one.extremes(nu[chosen], _VIEW), found, strict=True):
                case.require((ours - whole[chosen]).abs() <= slack[chosen], "selecting samples changes their extremes")


@dataclass(frozen=True)
class _HalfView:
    """A window of all but the first and last entry of the last axis, and one entry beyond its end."""

    whole: ClassVar[bool] = False

    def features(self, values: Tensor) -> Tensor:
        return self._cut(values, 0)

    def around(self, values: Tensor, margin: Sequence[int]) -> Tensor:
        wide = padded(values.unsqueeze(1), [size + 2 for size in margin])
        for axis, size in enumerate(margin):
            place = wide.dim() - len(margin) + axis
            last = axis == len(margin) - 1
            first, length = (3, values.shape[-1] + 2 * size) if last else (2, wide.shape[place] - 4)
            wide = wide.narrow(place, first, length)
        return wide

    def samples(self, values: Tensor) -> Tensor:
        return values.unsqueeze(1)

    def _cut(self, values: Tensor, margin: int) -> Tensor:
        return torch.nn.functional.pad(values, (0, 1)).unsqueeze(1)[..., 1:]


def _check_windows(case: _Case, placed: Support) -> None:
    """Rows over a window, which leaves out the input's first entries and reaches beyond its last ones."""
    nu = case.rows(3)
    nu[..., 0] = 0
    window = torch.nn.functional.pad(nu, (0, 1))[..., 1:]
    slack = case.slack(nu, placed)
    for ours, whole in zip(placed.extremes(window, _HalfView()), placed.extremes(nu, _VIEW), strict=True):
        case.require((ours - whole).abs() <= slack, "rows over a window differ from whole ones", ours - whole)


def _check_rounding(case: _Case, placed: Support, nu: Tensor, found: tuple[Tensor, Tensor]) -> None:
    """Results widened by what rigorous bounds charge must enclose those in float64."""
    double = placed.to(torch.float64)
    box, real = placed.enclosure().map(Tensor.double), double.enclosure()
    allowed = placed.rounding().double()
    if tuple(allowed.shape) != tuple(case.x.shape):
        raise PerturbationSetError(f"rounding must be {list(case.x.shape)}, but is {list(allowed.shape)}")
    case.require(box.lower - allowed <= real.lower, "rounding does not cover the enclosure's lower ends")
    case.require(box.upper + allowed >= real.upper, "rounding does not cover the enclosure's upper ends")
    sums = (case.x[0].numel() + 32) * torch.finfo(case.x.dtype).eps * box.magnitude
    charged = flat(nu.double().abs() * (sums + allowed).unsqueeze(1), 2).sum(2)
    least, greatest = double.extremes(nu.double(), _VIEW)
    case.require(found[0].double() - charged <= least, "rounding does not cover the minimum", least - found[0])
    case.require(found[1].double() + charged >= greatest, "rounding does not cover the maximum", found[1] - greatest)


def _check_searchable(case: _Case, placed: Searchable) -> None:
    drawn = placed.sample(case.points, case.generator(4)), placed.corners(case.points, case.generator(5))
    for points, what in zip(drawn, ("sample", "corners"), strict=True):
        if tuple(points.shape) != (case.points, *case.x.shape) or points.dtype != case.x.dtype:
            raise PerturbationSetError(f"{what} must be {[case.points, *case.x.shape]} in {case.x.dtype}")
        case.require(placed.contains(points).transpose(0, 1), f"the set does not contain what {what} draws")
    far = case.x + torch.cat(drawn).sub(case.x).mul(3) + 0.1 * case.rows(6).transpose(0, 1)[:1]
    near = placed.project(far)
    case.require(placed.contains(near).transpose(0, 1), "the set does not contain what it projects")
    moved = (placed.project(drawn[0]) - drawn[0]).abs() <= 64 * torch.finfo(case.x.dtype).eps * (1 + case.x.abs())
    case.require(moved.transpose(0, 1), "projecting moves points of the set")
    gradient = case.rows(7)[:, 0]
    for ascent in (gradient, torch.zeros_like(gradient)):
        case.require(placed.contains(placed.steepest(ascent)), "the set does not contain its steepest point")
        case.require(placed.direction(ascent).isfinite(), "a direction is not finite")
    lost = case.x.clone()
    flat(lost)[:, 0] = torch.nan
    case.require(~placed.contains(lost), "the set contains NaN")
    part = placed.select(slice(1, 2))
    alike = part.contains(far[:, 1:2]) == placed.contains(far)[:, 1:2]
    case.require(alike.transpose(0, 1), "selecting samples changes which points their sets contain")


def _check_both(case: _Case, placed: Support, searched: Searchable) -> None:
    nu = case.rows(8)
    lower, upper = placed.extremes(nu, _VIEW)
    slack = case.slack(nu, placed)
    drawn = searched.sample(case.points, case.generator(9)), searched.corners(case.points, case.generator(10))
    steepest = torch.stack([searched.steepest(sign * nu[:, row]) for sign in (1, -1) for row in range(_ROWS)])
    points = torch.cat([*drawn, steepest, searched.project(case.x + 10 * nu.transpose(0, 1))])
    values = torch.einsum("pnf,nkf->pnk", flat(points, 2), flat(nu, 2))
    least, greatest = values.amin(0), values.amax(0)
    case.require(least >= lower - slack, "a point of the set has a value below the minimum", lower - least)
    case.require(greatest <= upper + slack, "a point of the set has a value above the maximum", greatest - upper)
    box = placed.enclosure().widen(placed.rounding())
    inside = (points >= box.lower) & (points <= box.upper)
    case.require(inside.transpose(0, 1), "a point of the set lies outside its enclosure")
    if case.exact:
        attained = 1e3 * slack + 1e-6 * (upper - lower)
        case.require(least <= lower + attained, "no point attains the minimum (exact=False?)", least - lower)
        case.require(greatest >= upper - attained, "no point attains the maximum (exact=False?)", upper - greatest)
