"""The sections of a recipe about the end of an epoch: validation, learning curves, and the watch for a collapse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from autodual.attacks import Ascent, Customary, Fixed, Margin
from autodual.attacks.starts import start_named
from autodual.number_ranges import Range
from autodual.train.limits import Count, CountOrNone, Fraction, NonNegative, Positive
from autodual.train.recipe.sections import Section

AttackSteps = Annotated[int, Range(0, 10_000)]


@dataclass(frozen=True)
class ValidationSection(Section):
    """How held-out samples are evaluated, every `every` epochs and always at the full radius of `set`.

    select: the error by which the best network is chosen, and which is computed for it: `certified`, `robust` (under
    the attack) or `clean`; by default what the loss is about. Ties are broken by the other errors. bounds: of the
    certified error, `interval`, `mixed` (interval inside, dual at the end) or `dual`. samples: how many of the held-out
    ones are bounded and attacked, 0 for all. attack_steps: of projected gradient descent, 0 for no attack.
    attack_step_size: in units of the radius, 0 for 2.5 / steps. attack_restarts, attack_start: of the same attack,
    which measures the learning curves, too. patience: stop after so many validations at the full radius without a lower
    error, 0 for never.
    """

    select: Literal["auto", "certified", "robust", "clean"] = "auto"
    bounds: Literal["interval", "mixed", "dual"] = "interval"
    every: Count = 1
    samples: CountOrNone = 0
    attack_steps: AttackSteps = 10
    attack_step_size: NonNegative = 0.0
    attack_restarts: Annotated[int, Range(1, 10_000)] = 1
    attack_start: Literal["zero", "uniform", "scattered", "hypercube", "gaussian", "outward"] = "uniform"
    patience: CountOrNone = 0
    batch_size: Count = 200

    @property
    def attack(self) -> Ascent | None:
        """The attack that robust errors are measured by; None for none.

        It steps as adversarial training does, as long near an end of the domain as elsewhere, and raises the margin.
        """
        if not self.attack_steps:
            return None
        start, size = start_named(self.attack_start), Fixed(self.attack_step_size or 2.5 / self.attack_steps)
        return Ascent(start, Margin(), Customary(), size, self.attack_steps, self.attack_restarts)


@dataclass(frozen=True)
class CurvesSection(Section):
    """Clean and robust errors that are logged for comparison only; nothing is ever chosen by them.

    sets: `train` and `test` (`data.test`), or one of them; none by default. The errors of held-out samples are those of
    the validation. samples: how many of each set, its first ones, 0 for all. every: so many epochs.
    """

    sets: tuple[Literal["train", "test"], ...] = ()
    samples: CountOrNone = 1000
    every: Count = 1


@dataclass(frozen=True)
class CollapseSection(Section):
    """The watch for catastrophic overfitting (the thesis' section 4.1.2).

    At the end of each epoch its first minibatch, without augmentation, is attacked by projected gradient descent at the
    full radius of `set`. Where the robust error is higher than after the epoch before by more than `drop`, the weights
    of then are restored and training stops.

    watch: `always`, `never`, or `auto`: where the loss takes a single step before each of the weights. drop: of robust
    accuracy. steps, step_size: of the attack, the latter in units of the radius. samples: the epoch's first so many, 0
    for a minibatch and at least 100; few of them make chance drops likely.
    """

    watch: Literal["auto", "always", "never"] = "auto"
    drop: Fraction = 0.2
    steps: Annotated[int, Range(1, 10_000)] = 5
    step_size: Positive = 0.25
    samples: CountOrNone = 0
