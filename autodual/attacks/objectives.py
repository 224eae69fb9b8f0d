"""Objectives: the number a sample that an attack raises, as a function of the outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from autodual.attacks.class_gaps import ClassGap, best_other
from autodual.attacks.problem import Problem
from autodual.errors import InvalidInputError
from autodual.policies import IGNORED
from autodual.specs import ClassMargin, LabelMap, LabelSpecification


class Objective(ABC):
    """A loss of outputs; a frozen dataclass whose fields are its options."""

    @abstractmethod
    def loss(self, problem: Problem, outputs: Tensor) -> Tensor:
        """The loss `[N]`, to be raised.

        Args:
            problem: the samples under attack.
            outputs: flattened, `[N, K]`.
        """

    def rise(self, problem: Problem, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """The loss `[N]` and its gradient by the outputs `[N, K]`; by default what autograd makes of `loss`.

        Args:
            problem: the samples under attack.
            outputs: flattened, `[N, K]`, without a graph.
        """
        with torch.enable_grad():
            outputs = outputs.detach().requires_grad_()
            loss = self.loss(problem, outputs)
            whole = loss.sum()
        if not whole.requires_grad:
            return loss, torch.zeros_like(outputs)
        (slope,) = torch.autograd.grad(whole, outputs, allow_unused=True, materialize_grads=True)
        return loss.detach(), slope

    def turn(self, restart: int) -> Objective:
        """The objective of the restart number `restart`, counted from 0."""
        return self


@dataclass(frozen=True)
class Margin(Objective):
    """The negated margin of any specification: positive exactly where it is refuted."""

    def loss(self, problem: Problem, outputs: Tensor) -> Tensor:
        return -problem.margin(outputs)

    def rise(self, problem: Problem, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Of one label a sample the slope is written down: up for the best other class, and down for the label.

        Args:
            problem: the samples under attack.
            outputs: flattened, `[N, K]`, without a graph.
        """
        goal = problem.specification
        if type(goal) is not ClassMargin or goal.labels.dim() > 1:
            return super().rise(problem, outputs)
        gap = ClassGap(goal.label_map, outputs, best_other(goal.label_map, outputs), {})
        return self.loss(problem, outputs), gap.slope()


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """−log of the label's softmax, summed over positions."""

    def loss(self, problem: Problem, outputs: Tensor) -> Tensor:
        labels = _labels(problem)
        truth = labels.labels.to(outputs.device)
        if truth.dim() == 1:
            return functional.cross_entropy(outputs, truth, reduction="none", ignore_index=IGNORED)
        scores = labels.by_class(outputs).movedim(-2, -1).flatten(0, -2)
        loss = functional.cross_entropy(scores, truth.flatten(), reduction="none", ignore_index=IGNORED)
        return loss.reshape(len(outputs), -1).sum(1)

    def rise(self, problem: Problem, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """The slope at `outputs` is the softmax, and at the label what makes its sum 0; none where the `problem` claims
        nothing.

        Where the label's softmax rounds to 1, its slope would be 0 if 1 were subtracted, and the attack half blind.

        Args:
            problem: the samples under attack.
            outputs: flattened, `[N, K]`, without a graph.
        """
        labels = _labels(problem)
        truth, others = labels.masks(outputs)
        slope = labels.by_class(outputs).softmax(-2) * others
        slope = torch.addcmul(slope, truth, slope.sum(-2, keepdim=True), value=-1)
        return self.loss(problem, outputs), slope.reshape(outputs.shape)


class _Gap(Objective):
    """How far another class is ahead of the label, whose slope is written down."""

    @abstractmethod
    def gap(self, problem: Problem, outputs: Tensor) -> ClassGap:
        """What is raised.

        Args:
            problem: the samples under attack.
            outputs: flattened, `[N, K]`.
        """

    def loss(self, problem: Problem, outputs: Tensor) -> Tensor:
        return self.gap(problem, outputs).loss()

    def rise(self, problem: Problem, outputs: Tensor) -> tuple[Tensor, Tensor]:
        gap = self.gap(problem, outputs)
        return gap.loss(), gap.slope()


@dataclass(frozen=True)
class Dlr(_Gap):
    """The difference of logits ratio (Croce and Hein, 2020): the negated margin over z₁ − z₃ of the ordered scores.

    It does not change when all scores are scaled. With two classes there is no third, and it is the margin itself.
    """

    def gap(self, problem: Problem, outputs: Tensor) -> ClassGap:
        labels = _labels(problem)
        ranks = {0: 1.0, 2: -1.0} if labels.by_class(outputs).shape[-2] > 2 else {}
        return ClassGap(labels, outputs, best_other(labels, outputs), ranks)


@dataclass(frozen=True)
class Targeted(_Gap):
    """z_target − z_label for the class that is the `rank`-th best other one at the sample; each restart takes the next.

    scaled: divide by z₁ − (z₃ + z₄) / 2, as the targeted difference of logits ratio does where there are four classes.
    """

    rank: int = 1
    scaled: bool = True

    def gap(self, problem: Problem, outputs: Tensor) -> ClassGap:
        labels = _labels(problem)
        classes = labels.by_class(outputs).shape[-2]
        place = (self.rank - 1) % (classes - 1)
        others = labels.others(problem.clean, -torch.inf).sort(-2, descending=True).indices
        target = others[..., place : place + 1, :]
        return ClassGap(labels, outputs, target, {0: 1.0, 2: -0.5, 3: -0.5} if self.scaled and classes > 3 else {})

    def turn(self, restart: int) -> Targeted:
        return replace(self, rank=self.rank + restart)


@dataclass(frozen=True)
class KlToClean(Objective):
    """KL(softmax f(x) ‖ softmax f(z)), of which TRADES trains on the largest. Its gradient vanishes at the sample."""

    def loss(self, problem: Problem, outputs: Tensor) -> Tensor:
        labels = _labels(problem)
        clean, scores = (labels.by_class(values).log_softmax(-2) for values in (problem.clean, outputs))
        return labels.total((clean.exp() * (clean - scores)).sum(-2, keepdim=True))


def raised(objective: Objective, problem: Problem, outputs: Tensor) -> Tensor:
    """The loss `[N]` that an attack raises: an objective's, or over mixed labels the mean of it by their shares."""
    if len(problem.mixture) == 1:
        return objective.loss(problem, outputs)
    return torch.stack([share * objective.loss(part, outputs) for share, part in problem.mixture]).sum(0)


def rise(objective: Objective, problem: Problem, outputs: Tensor) -> tuple[Tensor, Tensor]:
    """What an attack raises, `[N]`, and its gradient by the outputs `[N, K]`; see `raised`."""
    if len(problem.mixture) == 1:
        return objective.rise(problem, outputs)
    found = [(share, objective.rise(part, outputs)) for share, part in problem.mixture]
    losses, slopes = ([share * part[place] for share, part in found] for place in (0, 1))
    return torch.stack(losses).sum(0), torch.stack(slopes).sum(0)


#: Objectives by the names that attacks' fields and the command line have for them.
OBJECTIVES: dict[str, Objective] = {
    "margin": Margin(),
    "cross-entropy": CrossEntropy(),
    "dlr": Dlr(),
    "targeted": Targeted(scaled=False),
    "targeted-dlr": Targeted(),
    "kl": KlToClean(),
}


def objective_named(name: str | Objective) -> Objective:
    """The objective of a name, or the objective itself; raises InvalidInputError for other names."""
    if isinstance(name, Objective):
        return name
    if name not in OBJECTIVES:
        raise InvalidInputError(f"{name!r} is no objective of an attack; there are {', '.join(OBJECTIVES)}")
    return OBJECTIVES[name]


def _labels(problem: Problem) -> LabelMap:
    if not isinstance(problem.specification, LabelSpecification):
        raise InvalidInputError(
            "this objective compares a label with other classes, but the specification has no labels: "
            f"{problem.specification.describe()}; use the objective 'margin'"
        )
    return problem.specification.label_map
