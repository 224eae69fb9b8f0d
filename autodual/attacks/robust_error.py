"""`evaluate`: the robust error that attacks show, sample by sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import torch

from autodual.attacks.attacked_batch import AttackedBatch
from autodual.attacks.attacked_sample import AttackedSample, Robustness
from autodual.attacks.base import Attack, Function, outputs_at
from autodual.attacks.ensemble import Standard
from autodual.attacks.evaluation_mode import evaluation_mode
from autodual.attacks.hunt import Hunt, Tell
from autodual.errors import InvalidInputError
from autodual.inputs import Labels, Samples, sample_tensor
from autodual.perturbations import PerturbationSet, perturbation_set, require_searchable
from autodual.progress import Progress, tracked
from autodual.specs import Specification
from autodual.specs.chosen_goal import goal_of

#: One attack, several, or several by names of the caller's.
Attacks: TypeAlias = Attack | Iterable[Attack] | Mapping[str, Attack]


@torch.no_grad()
def evaluate(
    function: Function,
    x: Samples,
    ball: PerturbationSet,
    labels: Labels | None = None,
    attacks: Attacks | None = None,
    *,
    spec: Specification | None = None,
    class_axis: int = 1,
    confirm: Function | None = None,
    batch_size: int | None = None,
    shares: Sequence[float] = (1.0,),
    progress: Progress = False,
) -> Robustness:
    """Attack every sample of x `[N, *shape]`: the clean error, the robust error, and what each attack found.

    Every attack is run on every sample that is right, in every member of a union (at once, if the attack takes unions
    as a whole), so that each one's error alone is known, too. A point counts only if the network, run again at it,
    fails there, and the set contains it. No error found is no proof: the true robust error is at least this one.

    An attack without random numbers finds the same for a sample whatever the batch; random numbers begin at the
    attack's seed in every batch, so they depend on the sample's place in it and on which samples are left.

    Args:
        function: maps `[N, *shape]` to outputs, sample by sample; a module is run in evaluation mode.
        x: samples in the dtype of the network.
        ball: the set around each.
        labels: the classes that must win, `[N]` or label maps; without them the predicted class stands in.
        attacks: one or several; by default `Standard()`. They are called by the keys of a mapping, and else by their
            class.
        spec: any other property instead of the class, such as `AvoidedClass(3)` for an attack that aims at class 3.
        class_axis: which axis of the outputs holds the classes.
        confirm: the network as it is deployed, where that is run in another way than `function`: what it does not
            confirm does not count.
        batch_size: how many samples to attack together, 1 or more; by default all.
        shares: of the set's radius, growing, up to 1: every sample is attacked in ever larger sets until it breaks, so
            that `curve` tells how many resist at each radius.
        progress: True for a bar, or a function that is told (see `autodual.progress`); it moves within a batch, too.

    Returns:
        A list with one `AttackedSample` each, and the errors as properties.

    Raises:
        InvalidInputError: there is no attack, the set cannot be searched, labels or specification do not fit, the
            function gives no tensor, or shares are not ever larger ones up to 1 of a radius.

    Example:
        >>> import autodual, torch
        >>> from autodual.attacks import Fgsm, Pgd, evaluate
        >>> x, labels = torch.tensor([[1.0, 0.8], [1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0, 0])
        >>> found = evaluate(torch.nn.Identity(), x, autodual.LinfBall(0.2), labels, [Fgsm(), Pgd(steps=5)])
        >>> found
        Robustness(clean error 33.33%, robust error 66.67% (Fgsm 66.67%, Pgd 66.67%))
        >>> found[0].broken, found[0].point
        (True, tensor([0.8000, 1.0000]))
    """
    named, x = _named(attacks), sample_tensor(x)
    if batch_size is not None and batch_size < 1:
        raise InvalidInputError(f"batch_size must be 1 or more, not {batch_size}")
    region = require_searchable(perturbation_set(ball).at(x))
    members = tuple(member.describe() for member in region.source.members())
    tried = _checked(shares)
    hunt = Hunt(function, function if confirm is None else confirm, named)
    each, samples = len(tried) * hunt.searches(len(members)), list[AttackedSample]()
    with evaluation_mode(function):
        parts = torch.arange(x.shape[0], device=x.device).split(batch_size or x.shape[0])
        outputs = torch.cat([outputs_at(function, x[part]) for part in parts])
        goal = goal_of(outputs, labels, spec, class_axis)
        labelled = labels is not None or spec is not None
        with tracked(progress, each * len(parts)) as advance:
            for number, part in enumerate(parts):
                batch = AttackedBatch(region.select(part), goal.select(part), outputs[part], labelled=labelled)
                tell = partial(_further, advance, number * each)
                samples += batch.samples(hunt, tell, members, tried)
                tell(each, f"{len(samples):,} samples attacked")
    return Robustness(samples, tuple(named), members, tried)


def _further(advance: Tell, before: int, done: int, words: str) -> None:
    advance(before + done, words)


def _checked(shares: Sequence[float]) -> tuple[float, ...]:
    """The shares as numbers; raises InvalidInputError unless they grow from above 0 to 1."""
    found = tuple(float(share) for share in shares)
    if not found or found[-1] != 1 or any(after <= before for before, after in zip((0.0, *found), found)):
        raise InvalidInputError(f"shares of the radius must grow from above 0 to 1, such as (0.5, 1), not {shares}")
    return found


def _named(attacks: Attacks | None) -> dict[str, Attack]:
    """The attacks by their names; raises InvalidInputError where there is none, or something else among them."""
    if attacks is None:
        attacks = Standard()
    if isinstance(attacks, Mapping):
        named = dict(attacks)
    else:
        every = list(attacks) if isinstance(attacks, Iterable) else [attacks]
        names = [type(attack).__name__ for attack in every]
        named = {_numbered(names, place): attack for place, attack in enumerate(every)}
    if not named or not all(isinstance(attack, Attack) for attack in named.values()):
        raise InvalidInputError(f"attacks must be one or more attacks (autodual.attacks), not {list(named.values())!r}")
    return named


def _numbered(names: list[str], place: int) -> str:
    """The name at a place, with its number where there are several of it."""
    return (
        names[place] if names.count(names[place]) == 1 else f"{names[place]} {names[: place + 1].count(names[place])}"
    )
