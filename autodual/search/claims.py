"""What a search is to prove: of each claim, that some of its half-spaces holds at every point of a sample's set."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Claims:
    """C claims, each of R half-spaces matrix · f - offset > 0, of which one has to hold at every point of the set.

    Another half-space may hold at another point. So a claim is proved of a part of the set where a combination of its
    half-spaces with weights that are not negative is positive on the whole part.

    Args:
        matrix: `[C, R, K]`, float64.
        offset: `[C, R]`, float64.
        slack: by how much an offset may be off, `[C, R]`, float64.
        member: which half-spaces a claim has, bool `[C, R]`; the others are padding.
        sample: the sample `[C]` whose set each claim is about.
    """

    matrix: Tensor
    offset: Tensor
    slack: Tensor
    member: Tensor
    sample: Tensor

    @property
    def count(self) -> int:
        """C."""
        return self.sample.shape[0]

    @property
    def rows(self) -> int:
        """R."""
        return self.matrix.shape[1]

    def select(self, index: Tensor) -> Claims:
        """Some of the claims, `[M]`."""
        return Claims(*(values[index] for values in (self.matrix, self.offset, self.slack, self.member, self.sample)))
