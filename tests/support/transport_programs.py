"""Local transport plans as linear programs, for scipy's HiGHS: the oracle of Wasserstein balls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, vstack


@dataclass(frozen=True)
class Plans:
    """All plans over an image `[*channels, H, W]`: one variable for each source and target in its window."""

    source: numpy.ndarray
    target: numpy.ndarray
    price: numpy.ndarray
    shape: tuple[int, ...]

    @classmethod
    def over(cls, shape: tuple[int, ...], window: int, power: float = 1.0) -> Plans:
        cell = numpy.arange(numpy.prod(shape)).reshape(-1, *shape[-2:])
        reach, found = window // 2, []
        for channel in cell:
            for (i, j), source in numpy.ndenumerate(channel):
                for k in range(max(0, i - reach), min(shape[-2], i + reach + 1)):
                    for m in range(max(0, j - reach), min(shape[-1], j + reach + 1)):
                        found.append((source, channel[k, m], ((i - k) ** 2 + (j - m) ** 2) ** (power / 2)))
        source, target, price = (numpy.array(one) for one in zip(*found))
        return cls(source.astype(int), target.astype(int), price, shape)

    def cost(self, x: numpy.ndarray, z: numpy.ndarray, apart: float) -> float:
        """What the cheapest plan costs that takes x to within `apart` of z at each pixel; infinite if there is none."""
        count = len(self.source)
        leaving, arriving = (csr_matrix((numpy.ones(count), (end, range(count)))) for end in (self.source, self.target))
        limits = vstack([arriving, -arriving]), numpy.concatenate([z.ravel() + apart, apart - z.ravel()])
        found = linprog(self.price, *limits, leaving, x.ravel(), method="highs")
        return found.fun if found.status == 0 else numpy.inf

    def greatest(self, row: numpy.ndarray, x: numpy.ndarray, budget: float) -> float:
        """max <row, z> over images z made of x by plans that cost at most `budget`."""
        leaving = csr_matrix((numpy.ones(len(self.source)), (self.source, numpy.arange(len(self.source)))))
        found = linprog(-row.ravel()[self.target], self.price[None], [budget], leaving, x.ravel(), method="highs")
        assert found.status == 0, found.message
        return -found.fun
