"""The interface of losses: from a dual network, samples, labels and the set around each sample to one number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from torch import Tensor

from autodual.inputs import Labels, Samples
from autodual.network import DualNetwork
from autodual.perturbations import PerturbationSet
from autodual.train.limits import check_fields
from autodual.train.losses.batch import Batch, StatisticsPolicy
from autodual.train.mixed_labels import MixedLabels

#: The errors that networks are judged by: over bounds, under an attack, or at the samples.
Judgement = Literal["certified", "robust", "clean"]


class Loss(ABC):
    """A loss to train on; a frozen dataclass whose fields are its options.

    Number fields may be scheduled: the trainer replaces them at each step (`autodual.train.schedules`). Options out of
    their range raise InvalidInputError when the loss is made.
    """

    #: Whether it looks at bounds; only then does every operation of the network need a dual rule.
    bounds: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(
        self,
        dual: DualNetwork,
        x: Samples,
        labels: Labels | MixedLabels,
        perturbation: PerturbationSet,
        *,
        carried: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """The mean loss of x `[N, *shape]` with labels `[N]`: a scalar, differentiable in the parameters.

        Label maps `[N, *positions]` make it the mean over all positions of the batch but those labelled -100. Mixed
        labels make each sample's loss the mean by their shares, and attacks raise that.

        In training mode batch norms learn from the batch and normalise by it (see `Batch`).

        carried: a table that is handed to every batch of a run, for losses that remember something (`carries`).
        """
        batch = Batch.of(dual, x, labels, perturbation, carried=carried, statistics=self.normalised_by)
        return self.of(batch).mean()

    @property
    def judged_by(self) -> Judgement:
        """The error that the loss is about, by which validation chooses a network unless a recipe says otherwise."""
        return "certified" if self.bounds else "robust"

    @property
    def normalised_by(self) -> StatisticsPolicy:
        """What batch norms that learn normalise bounds and attacks by: the loss' field `statistics`, if it has one."""
        return getattr(self, "statistics", "batch")

    @property
    def single_step(self) -> bool:
        """Whether an attack takes one step for each of the weights, to which networks may overfit within an epoch."""
        return False

    @abstractmethod
    def of(self, batch: Batch) -> Tensor:
        """Losses by sample, `[N]` (or one number that counts for all).

        Losses of label maps are summed over positions, and scaled so that their mean over the samples is the mean over
        all positions of the batch.
        """

    def steps_a_batch(self) -> int:
        """How many steps the trainer takes on each batch, one after the other, before the next one."""
        return 1

    def carries(self, x: Tensor) -> dict[str, Tensor]:
        """What it carries from batch to batch, by name, as it is before the first one.

        Args:
            x: like the samples of a largest batch, `[N, *shape]`.
        """
        return {}
