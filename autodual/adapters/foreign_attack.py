"""What attacks of other programs have in common, where they are run as ours."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import numpy
import torch
from torch import Tensor, nn

from autodual.attacks import Attack
from autodual.attacks.base import Function
from autodual.attacks.kept import Kept
from autodual.attacks.problem import Problem
from autodual.errors import InvalidInputError
from autodual.perturbations import NormBall, Searchable
from autodual.specs import ClassMargin, Specification


class ForeignAttack(Attack):
    """An attack of another program; a frozen dataclass.

    The point that it finds is projected onto the set, which it may have left, and kept where the margin there is lower
    than at the sample. Its random numbers begin at `seed`, and those of torch, NumPy and Python go on afterwards as if
    it had drawn none.
    """

    seed: int

    @abstractmethod
    def search(self, function: Function, region: Searchable, labels: Tensor) -> Tensor:
        """Points `[N, *shape]`, not necessarily of the set.

        Args:
            function: as for `run`.
            region: a norm ball, placed around N samples.
            labels: their classes, int64 `[N]`.
        """

    @torch.no_grad()
    def run(
        self,
        function: Function,
        region: Searchable,
        specification: Specification,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        labels = _labels(specification, region)
        problem = Problem.of(function, region, specification)
        kept = Kept("worst", start := region.project(region.centre))
        kept.update(start[None], problem.margin(problem.outputs(start))[None])
        seed = self.seed
        if generator is not None:
            seed = int(torch.randint(2**31, (), generator=generator, device=generator.device))
        with _random_numbers(seed, region.centre.device), torch.enable_grad():
            found = self.search(function, region, labels)
        points = region.project(found.detach().to(region.centre))
        kept.update(points[None], problem.margin(problem.outputs(points))[None], region)
        return kept.points


class FunctionModule(nn.Module):
    """A function as the module that other programs want."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self._function = [function]  # in a list, so that a network's modules do not become ours

    def forward(self, x: Tensor) -> Tensor:
        """The function's value.

        Args:
            x: samples `[N, *shape]`.
        """
        return self._function[0](x)


def ball_of(region: Searchable) -> NormBall:
    """The norm ball that a region is; InvalidInputError if it is another set."""
    if not isinstance(region.source, NormBall):
        raise InvalidInputError(
            f"attacks of other programs search norm balls, not this set: {region.source.describe()}; of a union, give "
            "them one member at a time, as autodual.attacks.attack_members does"
        )
    return region.source


def one_radius(radius: Tensor) -> float:
    """The number that all entries of a radius are; InvalidInputError if they differ."""
    least, most = float(radius.min()), float(radius.max())
    if most - least > 1e-6 * most:
        raise InvalidInputError(
            f"attacks of other programs take one radius, but the set has several, from {least:g} to {most:g}; attack "
            "the samples of each radius by themselves"
        )
    return most


def _labels(specification: Specification, region: Searchable) -> Tensor:
    if not isinstance(specification, ClassMargin) or specification.labels.dim() > 1:
        raise InvalidInputError(
            "attacks of other programs work on one label for each sample, not on this specification: "
            f"{specification.describe()}"
        )
    return specification.labels.to(region.centre.device)


@contextmanager
def _random_numbers(seed: int, device: torch.device) -> Iterator[None]:
    """The global generators begin at a seed, and are put back afterwards."""
    before = random.getstate(), numpy.random.get_state()
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        random.seed(seed)
        numpy.random.seed(seed % 2**32)
        try:
            yield
        finally:
            random.setstate(before[0])
            numpy.random.set_state(before[1])
