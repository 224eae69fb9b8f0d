"""What attacks found around each sample, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor


@dataclass(frozen=True, eq=False)
class AttackedSample:
    """What attacks found around one sample.

    label, predicted: its class as given, and as the network has it; None where outputs are not one class a sample.
    wrong: the property fails at the sample itself, which is then not attacked. clean_margin: at the sample. margin: at
    the worst point seen, `point` `[*shape]`, and linf, l2, l1: its distance from the sample.
    broken: a point of the set was found at which the property fails, confirmed by running the network again; its margin
    is negative, and `reached` is the class there. attack, member: which attack found the worst point, and in which
    member of a union it lies (in words); None where no attack went below the sample's own margin, and for sets that are
    no union. share: of the set's radius at which it first broke; 1 unless `evaluate` was told to try smaller ones.
    broken_by: all attacks that broke it; broken_in: the members of a union in which one did.
    """

    label: int | None
    predicted: int | None
    wrong: bool
    clean_margin: float
    margin: float
    point: Tensor = field(repr=False)
    broken: bool = False
    attack: str | None = None
    member: str | None = None
    broken_by: tuple[str, ...] = ()
    broken_in: tuple[str, ...] = ()
    reached: int | None = None
    linf: float = 0.0
    l2: float = 0.0
    l1: float = 0.0
    share: float | None = None

    @property
    def resists(self) -> bool:
        """Whether nothing was found; that is no proof."""
        return not (self.wrong or self.broken)


class Robustness(list[AttackedSample]):
    """What attacks found, one entry a sample: a list that prints as its errors.

    `attacks` are their names, `members` the members of the set in words, `shares` those of the radius that were tried.
    """

    def __init__(
        self,
        samples: list[AttackedSample],
        attacks: tuple[str, ...],
        members: tuple[str, ...],
        shares: tuple[float, ...] = (1.0,),
    ) -> None:
        super().__init__(samples)
        self.attacks, self.members, self.shares = attacks, members, shares

    def __repr__(self) -> str:
        alone = ", ".join(f"{name} {self.error_under(name):.2%}" for name in self.attacks)
        return f"Robustness(clean error {self.clean_error:.2%}, robust error {self.robust_error:.2%} ({alone}))"

    @property
    def clean_error(self) -> float:
        """The share of samples at which the property fails without any change."""
        return self._share(lambda sample: sample.wrong)

    @property
    def robust_error(self) -> float:
        """The share of samples at which it fails, or for which an attack found a point: at most the true error."""
        return self._share(lambda sample: not sample.resists)

    def error_under(self, attack: str) -> float:
        """The robust error that one of the attacks shows alone.

        Args:
            attack: its name, one of `attacks`.

        Example:
            >>> import autodual, torch
            >>> from autodual.attacks import Fgsm, evaluate
            >>> x, labels = torch.tensor([[1.0, 0.8], [1.0, 0.0]]), torch.tensor([0, 0])
            >>> evaluate(torch.nn.Identity(), x, autodual.LinfBall(0.2), labels, {"one step": Fgsm()}).error_under(
            ...     "one step"
            ... )
            0.5
        """
        return self._share(lambda sample: sample.wrong or attack in sample.broken_by)

    def error_in(self, member: str) -> float:
        """The robust error over one member of a union alone.

        Args:
            member: one of `members`, in words.

        Example:
            >>> import autodual, torch
            >>> from autodual.attacks import Fgsm, evaluate
            >>> union = autodual.Union(autodual.LinfBall(0.2), autodual.L1Ball(0.1))
            >>> x, labels = torch.tensor([[1.0, 0.8], [1.0, 0.0]]), torch.tensor([0, 0])
            >>> found = evaluate(torch.nn.Identity(), x, union, labels, Fgsm())
            >>> [found.error_in(member) for member in found.members]
            [0.5, 0.0]
        """
        return self._share(lambda sample: sample.wrong or member in sample.broken_in)

    def curve(self) -> list[tuple[float, float]]:
        """The share of the samples that resist in sets of each share of the radius that was tried, as pairs.

        Example:
            >>> import autodual, torch
            >>> from autodual.attacks import Fgsm, evaluate
            >>> x, labels = torch.tensor([[1.0, 0.8], [1.0, 0.5]]), torch.tensor([0, 0])
            >>> found = evaluate(torch.nn.Identity(), x, autodual.LinfBall(0.4), labels, Fgsm(), shares=(0.5, 1))
            >>> found.curve(), [sample.share for sample in found]
            ([(0.5, 0.5), (1.0, 0.0)], [0.5, 1.0])
        """
        return [(share, 1 - self._share(partial(_broken_within, share))) for share in self.shares]

    def _share(self, counts: Callable[[AttackedSample], bool]) -> float:
        return sum(map(counts, self)) / max(len(self), 1)


def _broken_within(share: float, sample: AttackedSample) -> bool:
    """Whether a sample breaks in the set of a share of the radius."""
    return sample.wrong or (sample.share is not None and sample.share <= share)
