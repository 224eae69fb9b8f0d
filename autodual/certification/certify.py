"""`certify`: one certificate a sample, for any perturbation set and specification."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from typing_extensions import Unpack

from autodual.attacks import Attack
from autodual.attacks.base import given_attack
from autodual.certification.certificate import Certificates
from autodual.certification.effort import Stages
from autodual.certification.exact_decisions import ExactDecisions
from autodual.certification.goal import chosen_goal
from autodual.certification.growing_batches import growing_batches, samples_at_once
from autodual.certification.same_network import require_same_network
from autodual.certification.sample_task import SampleTask
from autodual.certification.showing import counted
from autodual.certification.verdicts.clock import Clock
from autodual.errors import InvalidInputError
from autodual.exact.time_allowed import checked_seconds
from autodual.inputs import Labels, Samples, sample_tensor
from autodual.network import Ask, DualNetwork, given_network
from autodual.network.ask_options import ProofOptions
from autodual.network.keywords import takes
from autodual.network.known import checked_ask
from autodual.perturbations import PerturbationSet, Support, perturbation_set, require_searchable, require_support
from autodual.policies import Effort
from autodual.progress import Progress, tracked
from autodual.requirements import checked_together
from autodual.specs import Specification

# How many samples are bounded first where progress is to be shown.
_FIRST = 16


@takes(ProofOptions)
def certify(
    dual: DualNetwork,
    x: Samples,
    ball: PerturbationSet,
    labels: Labels | None = None,
    *,
    spec: Specification | None = None,
    attack: Attack | None = None,
    deployed: bool = False,
    exact_seconds: float | None = None,
    effort: Effort | None = None,
    timeout: float | None = None,
    total_timeout: float | None = None,
    bracket: bool = False,
    progress: Progress = False,
    ask: Ask | None = None,
    **options: Unpack[ProofOptions],
) -> Certificates:
    """One certificate for each sample of x `[N, *shape]`: does the specification hold over the whole set around it?

    Certificates speak of real arithmetic; in floating point a margin may differ by `execution_error`, which holds for
    the module's own dtype, points rounded to it and any order of summation, but not for products in reduced precision
    (TF32, autocast) nor for Winograd or FFT convolutions. Bounds are computed in x's dtype (in float32 for half
    precision) and accepted only beyond their own rounding error; float64 decides the rest.

    If the dual network was compiled with `HighProbability`, samples whose bounds were estimated get certificates with a
    failure probability, and the status `probably certified` where others get `certified`. Each of them holds with that
    probability by itself; of many, about that share may be wrong. `RandomProjection` proves nothing, so certificates
    never use it.

    Args:
        dual: the dual network.
        x: samples `[N, *shape]`.
        ball: the set around each, or one for each.
        labels: the classes that must win, `[N]`; without them the predicted class stands in. Per-pixel classifiers with
            outputs `[N, C, H, W]` take label maps `[N, H, W]`, and so on for other shapes: the class must win at every
            position, and the certificates' `positions` say where it does. The label -100 marks what is to be ignored.
        spec: any other property instead of the class margin.
        slopes: `adaptive` unless said otherwise; `optimized` ones are searched where adaptive ones prove nothing.
            Estimated bounds have `shared` ones.
        attack: looks for counterexamples where the bound decides nothing.
        known: intervals of bound sites proved elsewhere; they are named in the certificates as assumptions.
        deployed: count only margins beyond `execution_error`, and so certify the network as it is run, too.
        exact_seconds: decide exactly what bounds and attack leave open, for at most so many seconds a sample
            (`math.inf`: however long it takes). For small networks of piecewise-linear ops, over sets with flat sides.
        effort: bounds in stages, each of which sees only what is open: `fast` (over intervals), `normal` (then adaptive
            slopes), `high` (then optimized slopes, then branch and bound for 10 seconds a sample) or `complete` (the
            same until nothing more can be split). Over sets that are far rounder than a box, as l2 balls, bounds but
            those over intervals have `balls` where that is unsaid. The certificate's `stage` names the one that its
            margins are from. In place of `slopes`, `inner` and `last`.
        timeout: with effort `high` or `complete`, the seconds that a search may take for each sample, and those that
            optimized slopes may take for it before. What takes a second longer is interrupted, in the main thread of
            systems with timers, and adds nothing but what was proved until then.
        total_timeout: seconds after which slopes are no longer optimized, and no more searches begin or go on.
        bracket: attack what is proved, too, so that the samples that hold out bound the true share from above as those
            certified do from below, and a contradiction between the two cannot be missed; needs `attack`.
        progress: True for a bar, or a function that is told (see `autodual.progress`). Samples are then bounded some at
            a time, which changes bounds by no more than rounding; an attack's random starts are others.

    Returns:
        A list that prints as a count, and in a notebook as a table.

    Raises:
        InvalidInputError: `dual` is a model that is not compiled, labels are out of range, with `deployed` an op has
            no analysis of its rounding, or with `exact_seconds` an op or the set has no exact form.
        EmptySetError: a set has no points, or an assumption is provably false.
        ModelChangedError: the model, run at x, is no longer the network that was compiled.
        ContradictionError: a point breaks a bound that was proved over its set, which is a bug; the error keeps the
            evidence.

    Example:
        >>> import autodual, torch
        >>> dual = autodual.compile_dual(torch.nn.Identity())  # scores are the inputs themselves
        >>> x, labels = torch.tensor([[1.0, 0.0], [1.0, 0.9], [0.0, 1.0]]), torch.tensor([0, 0, 0])
        >>> found = autodual.certify(dual, x, autodual.LinfBall(0.1), labels=labels)
        >>> found
        Certificates(1 certified, 1 unknown, 1 misclassified)
        >>> found[0]
        Certificate(certified, margin=0.8, predicted=0, label=0)
    """
    ask = Ask.of(ask, options, certify)
    dual, x = given_network(dual), sample_tensor(x)
    labelled = labels is not None or spec is not None
    with checked_together(), torch.no_grad():
        region = require_support(perturbation_set(ball).at(x))
        if attack is not None:
            attack = given_attack(attack)
            require_searchable(region)
        elif bracket:
            raise InvalidInputError("bracket=True needs an attack; give attack=autodual.attacks.Pgd(), for example")
        outputs = dual.outputs(x)
        spec = chosen_goal(dual, outputs, labels, spec)
    require_same_network(dual, x)
    plan = dual.compiled(x).plan
    checked_ask(ask, plan, x)
    stages = Stages.of(effort, timeout, ask, plan)
    estimates = plan.options.projection is not None and plan.options.projection.certifies
    ask = ask.over(Ask(slopes="shared" if estimates else "adaptive", inner="dual", exact=not estimates))
    total = Clock(math.inf if total_timeout is None else checked_seconds(total_timeout, "total_timeout"))
    exact = ExactDecisions.of(dual, x, exact_seconds)
    task = SampleTask(dual, plan, attack, exact, stages, total, deployed, labelled, bracket)
    found = Certificates()
    with tracked(progress, region.count) as advance:
        for index in _parts(task, region, ask, progress):
            part = region.select(index), spec.select(index), outputs[index], ask.select(index)
            found += task.certificates(*part)
            advance(len(found), counted(certificate.status for certificate in found))
    return found


def _parts(task: SampleTask, region: Support, ask: Ask, progress: Progress) -> Iterator[Tensor]:
    """Indices of all samples at once, or of a few at a time if progress is to be shown."""
    parts = [range(region.count)]
    if progress and region.count > _FIRST:
        searches = task.attack or task.exact or task.searches or ask.slopes == "optimized"
        one = region.select(torch.zeros(1, dtype=torch.long, device=region.centre.device))
        parts = list(growing_batches(region.count, _FIRST, _FIRST if searches else samples_at_once(task.dual, one)))
    for part in parts:
        yield torch.arange(part.start, part.stop, device=region.centre.device)
