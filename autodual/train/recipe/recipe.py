"""A recipe: everything that a training run is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Annotated, Any, Literal

from torch import Tensor

from autodual.errors import InvalidInputError
from autodual.number_ranges import LARGEST, Range
from autodual.perturbations import PerturbationSet
from autodual.train.limits import Count, CountOrNone, check_fields, stands_at
from autodual.train.losses import Clean, IntervalBound, Judgement, Loss, Regularised
from autodual.train.losses.named_losses import LOSSES
from autodual.train.recipe.epoch_sections import CollapseSection, CurvesSection, ValidationSection
from autodual.train.recipe.sections import DataSection, NetworkSection, OptimiserSection, SetSection
from autodual.train.schedules import Constant, Linear, Schedule


@dataclass(frozen=True)
class Recipe:
    """How to train a network, from data to the schedules of its options.

    radius: of the set in training, by epoch, in units of `set.eps`; it may end above 1, the radius of validation. A
    recipe of an attack's loss that leaves it out has the whole radius at all times.
    learning_rate: by epoch, a fraction of which each step is. Of all schedules, times that are shares of the run are
    turned into epochs of this run. scheduled: number fields of the loss that change, by name; a dot names a field of a
    loss within the loss (`loss.kappa`). projection: columns of random projections that estimate dual bounds inside the
    network; 0 for exact bounds. memory: budget of the bounds in bytes; 0 for the default. precision: `bfloat16`
    and `float16` run everything but bounds in mixed precision, `float16` only with losses that compute no bounds.
    execution: `graph` captures each step on bounds with its gradients as one static graph, and replays it; `compiled`
    has `torch.compile` translate that, which takes minutes; `eager` does neither.
    stages: of a cascade, each trained on what no earlier one certifies; 1 for a single network. helpful_stages: whether
    the cascade ends before that with the first stage that certifies no further held-out sample, which is left out.
    """

    data: DataSection = field(default_factory=DataSection)
    network: NetworkSection = field(default_factory=NetworkSection)
    set: SetSection = field(default_factory=SetSection)
    loss: Loss = field(default_factory=lambda: IntervalBound(kappa=0.5))
    radius: Annotated[Schedule, Range(0, LARGEST)] = field(default_factory=lambda: Linear(0.0, 1.0, 1.0, 5.0))
    learning_rate: Annotated[Schedule, Range(0, LARGEST)] = field(default_factory=lambda: Constant(1e-3))
    scheduled: Mapping[str, Schedule] = field(default_factory=dict)
    optimiser: OptimiserSection = field(default_factory=OptimiserSection)
    validation: ValidationSection = field(default_factory=ValidationSection)
    curves: CurvesSection = field(default_factory=CurvesSection)
    collapse: CollapseSection = field(default_factory=CollapseSection)
    epochs: Annotated[int, Range(1, 2**20)] = 10
    batch_size: Count = 100
    seed: CountOrNone = 0
    projection: Annotated[int, Range(0, 100_000)] = 0
    memory: Annotated[int, Range(0, 2**62)] = 0
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    execution: Literal["eager", "graph", "compiled"] = "eager"
    stages: Annotated[int, Range(1, 1000)] = 1
    helpful_stages: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("radius", "learning_rate"):
            object.__setattr__(self, name, getattr(self, name).over(self.length))
        scheduled = {name: schedule.over(self.length) for name, schedule in self.scheduled.items()}
        object.__setattr__(self, "scheduled", scheduled)
        if self.precision == "float16" and self.loss.bounds:
            raise InvalidInputError(
                "'precision' float16 is for losses without bounds, whose numbers leave its range: take bfloat16, or a "
                "loss such as pgd"
            )
        if self.loss.bounds and any(augmentation.mixes for augmentation in self.data.all_augmentations):
            raise InvalidInputError(
                "'data.augmentations' mix labels, but bounds are for one label a sample: leave mixup out, or take a "
                "loss without bounds such as pgd"
            )
        if self.execution != "eager" and (not self.loss.bounds or self.projection):
            raise InvalidInputError(
                "'execution' graph and compiled are for losses of bounds without projections: leave it at eager"
            )
        if self.helpful_stages and not self.data.hold_out:
            raise InvalidInputError(
                "'helpful_stages' looks at held-out samples: give data.hold_out, or leave helpful_stages out"
            )
        if self.data.unlabelled and self.batch_size < 2:
            raise InvalidInputError("'batch_size' must be at least 2 with data.unlabelled, which is half of each batch")
        if max(self.radius.extremes) * self.set.eps > LARGEST:
            raise InvalidInputError(f"'radius' times set.eps must be at most {LARGEST:g}")
        for name, schedule in self.scheduled.items():
            for value in schedule.extremes:
                _set(self.loss, name.split("."), value, name)
        self._check_measures()

    def _check_measures(self) -> None:
        """Raise InvalidInputError where a network would be chosen by, or a curve drawn of, what is not measured."""
        if self.selected_by == "robust" and not self.validation.attack_steps:
            raise InvalidInputError(
                "'validation.attack_steps' must be at least 1, since the network is chosen by its robust error; or set "
                "validation.select to certified or clean"
            )
        if bool(self.data.test) != ("test" in self.curves.sets):
            raise InvalidInputError(
                'data.test and "test" in curves.sets go together: the test set is for learning curves alone'
            )
        if self.data.test and self.stages > 1:
            raise InvalidInputError("data.test is for one network, not for the stages of a cascade; leave it out")

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Mapping[str, Any]:
        """A recipe's table with the whole radius from the start, if it names none and its loss looks at no bounds.

        Bounds are loose at first, which is why the radius grows by default; attacks need no such care.
        """
        loss = table.get("loss")
        name = loss.get("kind") if isinstance(loss, Mapping) else loss
        kind = LOSSES.get(name) if isinstance(name, str) else None
        return table if "radius" in table or kind is None or kind.bounds else {**table, "radius": 1.0}

    @property
    def length(self) -> int:
        """How many epochs the run really takes, at least `epochs`.

        It ends with a whole pass over the data, which counts as several epochs where the loss replays each batch.
        """
        replays = self.loss.steps_a_batch()
        return -(-self.epochs // replays) * replays

    @property
    def selected_by(self) -> Judgement:
        """The error of held-out samples by which the best network is chosen."""
        return self.loss.judged_by if self.validation.select == "auto" else self.validation.select

    @property
    def watches(self) -> bool:
        """Whether catastrophic overfitting is watched for."""
        watch = self.collapse.watch
        return self.set.eps > 0 and (watch == "always" or (watch == "auto" and self.loss.single_step))

    def due(self, epoch: int, every: int) -> bool:
        """Whether what is done every so many epochs is done after this one; the last one is never left out.

        A pass over the data may count as several epochs, and end between two that are due.
        """
        return epoch >= self.epochs or epoch % every < self.loss.steps_a_batch()

    def ball_at(self, epoch: float) -> PerturbationSet:
        """The set to train on at an epoch."""
        return self.ball(self.radius(epoch))

    def ball(self, radius: float | Tensor) -> PerturbationSet:
        """The set to train on, of such a share of its radius."""
        return self.set.ball(radius * self.set.eps)

    def loss_at(self, epoch: float) -> Loss:
        """The loss with its scheduled fields as they are at an epoch; the plain loss where the radius is zero."""
        return self.loss_with(self.radius(epoch), self.numbers_at(epoch))

    def numbers_at(self, epoch: float) -> dict[str, float]:
        """The scheduled fields of the loss, by name, as they are at an epoch."""
        return {name: schedule(epoch) for name, schedule in self.scheduled.items()}

    def loss_with(self, radius: float | Tensor, numbers: Mapping[str, float | Tensor]) -> Loss:
        """The loss with these scheduled fields; the plain loss where the radius is zero."""
        if stands_at(radius, 0):
            return _plain(self.loss)
        loss = self.loss
        for name, value in numbers.items():
            loss = _set(loss, name.split("."), value, name)
        return loss


def _plain(loss: Loss) -> Loss:
    """The loss that another one becomes over sets that hold the sample alone."""
    if isinstance(loss, Regularised):
        return _plain(loss.loss)
    return Clean(getattr(loss, "criterion", "cross-entropy"))


def _set(thing: Any, path: list[str], value: float | Tensor, name: str) -> Any:
    """A copy with one field changed, however deep."""
    head, *rest = path
    known = [entry.name for entry in fields(thing)] if is_dataclass(thing) else []
    current = getattr(thing, head, None)
    if head not in known or (not rest and not isinstance(current, float)) or (rest and not is_dataclass(current)):
        raise InvalidInputError(f"'{name}' cannot be scheduled: {type(thing).__name__} has no number of that name")
    if rest:
        return replace(thing, **{head: _set(current, rest, value, name)})
    try:
        return replace(thing, **{head: value})
    except InvalidInputError as error:
        raise InvalidInputError(f"'scheduled.{name}' leaves its range: {error}") from None
