"""Networks with planted counterexamples, to test anything that claims to prove robustness.

Where a verifier says "robust", there is usually no way to tell that it is wrong: attacks find no counterexample, but
there may be one all the same. Here one is known, because the network was trained to have it, and only just, so that a
bound need not be far off to miss it. Whatever certifies such a sample is unsound.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from autodual.errors import InvalidInputError
from autodual.perturbations import PerturbationSet, Searchable, require_searchable

# The most steps of training, how many are taken before the first look, and points of the set that each step sees.
_STEPS, _LOOK, _POINTS = 3000, 25, 16


@dataclass(frozen=True, eq=False)
class PlantedNetwork:
    """A network, samples that it classifies rightly, and in the set of each a point that it does not.

    Args:
        model: in evaluation mode.
        x: the samples, `[N, *shape]`.
        labels: their classes, `[N]` long.
        ball: the set around each sample.
        points: the counterexamples, `[N, *shape]`, one in the set of each sample.
        targets: the classes that the network gives them, `[N]` long.
    """

    model: nn.Module
    x: Tensor
    labels: Tensor
    ball: PerturbationSet
    points: Tensor
    targets: Tensor

    def losses(self) -> Tensor:
        """f_label - f_target at the counterexamples, `[N]`, all negative: no lower bound of it may be above."""
        with torch.no_grad():
            return _lead(self.model(self.points), self.labels, self.targets)


def plant_counterexamples(
    model: nn.Module, x: Tensor, ball: PerturbationSet, *, classes: int, seed: int = 0, margin: float = 0.02
) -> PlantedNetwork:
    """Train a network around samples, so that each is classified rightly, and one planted point of its set is not.

    Args:
        model: any classifier of `x`; it is trained in place.
        x: samples `[N, *shape]` whose sets do not meet, as random points do not.
        ball: the set around each sample; it must be one that attacks can search.
        classes: how many classes the model has.
        seed: of the labels, the planted points and the training.
        margin: about half of how far planted points are on the wrong side, and all other points on the right one.

    Returns:
        The network, whose counterexamples have been checked.

    Raises:
        InvalidInputError: the set cannot be searched, or the network cannot be trained to have the points.

    Example:
        >>> import autodual, torch
        >>> from autodual.testing import plant_counterexamples
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 24), torch.nn.ReLU(), torch.nn.Linear(24, 3))
        >>> planted = plant_counterexamples(model, torch.rand(2, 4), autodual.LinfBall(0.1), classes=3)
        >>> dual = autodual.compile_dual(planted.model)
        >>> autodual.certify(dual, planted.x, planted.ball, planted.labels)
        Certificates(2 unknown)
    """
    generator = torch.Generator(device=x.device).manual_seed(seed)
    region = require_searchable(ball.at(x), "a planted counterexample")
    labels = torch.randint(classes, (x.shape[0],), generator=generator, device=x.device)
    targets = (labels + torch.randint(1, classes, labels.shape, generator=generator, device=x.device)) % classes
    points = region.project(region.corners(1, generator))[0]
    found = PlantedNetwork(model, x, labels, ball, points, targets)
    model.train(False)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    slower = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.999)
    for step in range(1, _STEPS + 1):
        loss = _loss(found, region.sample(_POINTS, generator), margin)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        slower.step()
        if step % _LOOK == 0 and _is_planted(found, region, margin):
            return found
    raise InvalidInputError(
        f"{_STEPS} steps of training have not given the network its counterexamples; give it more units, or fewer "
        "samples"
    )


def _loss(found: PlantedNetwork, samples: Tensor, margin: float) -> Tensor:
    """How far the network is from what it should be: at the planted points, at the samples, and elsewhere in the sets.

    samples: points `[P, N, *shape]` of the sets.
    """
    planted = (2 * margin - _lead(found.model(found.points), found.targets, found.labels)).abs()
    everywhere = torch.cat([found.x.unsqueeze(0), samples])
    labels = found.labels.expand(everywhere.shape[0], -1).flatten()
    others = functional.relu(2 * margin - _lead_over_all(found.model(everywhere.flatten(0, 1)), labels))
    clean, elsewhere = others[: found.x.shape[0]], others[found.x.shape[0] :]
    return 4 * (planted.sum() + clean.sum()) + elsewhere.sum() / samples.shape[0]


def _lead(outputs: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Output of the first class minus that of the second, `[N]`."""
    return (outputs.gather(1, first[:, None]) - outputs.gather(1, second[:, None]))[:, 0]


def _lead_over_all(outputs: Tensor, labels: Tensor) -> Tensor:
    """Output of the label's class minus the largest other one, `[N]`."""
    others = outputs.scatter(1, labels[:, None], -torch.inf)
    return (outputs.gather(1, labels[:, None]) - others.amax(1, keepdim=True))[:, 0]


@torch.no_grad()
def _is_planted(found: PlantedNetwork, region: Searchable, margin: float) -> bool:
    """Whether every sample is classified rightly, and its planted point is not, by far more than rounding."""
    right = _lead_over_all(found.model(found.x), found.labels) > 0
    losses = found.losses()
    wrong = (losses < -margin / 2) & (losses > -8 * margin)
    return bool((right & wrong & region.contains(found.points)).all())
