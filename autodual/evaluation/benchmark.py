"""`benchmark`: what a classifier is worth under attack, in one line: clean, robust and certified accuracy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from autodual.attacks import Attack, Robustness, Standard, evaluate
from autodual.attacks.evaluation_mode import evaluation_mode
from autodual.certification import Certificate, certify
from autodual.certification.contradiction import ROUNDING_SHARE
from autodual.compiler import compile_dual
from autodual.data import Dataset
from autodual.errors import AutodualError, ContradictionError, InvalidInputError
from autodual.evaluation.benchmark_result import BenchmarkResult
from autodual.evaluation.masking_signs import masking_signs
from autodual.evaluation.threat_models import threat_model
from autodual.inputs import Labels, Numbers, Samples, sample_tensor
from autodual.network import DualNetwork
from autodual.perturbations import PerturbationSet, require_searchable
from autodual.progress import Progress
from autodual.specs import ClassMargin
from autodual.tensors import flat


def benchmark(
    model: nn.Module,
    data: Dataset | tuple[Samples, Labels],
    threat: str | PerturbationSet = "Linf",
    eps: float | None = None,
    *,
    n_examples: int | None = None,
    domain: tuple[Numbers, Numbers] | None = (0, 1),
    attack: Attack | None = None,
    certified: bool = True,
    batch_size: int = 100,
    progress: Progress = False,
) -> BenchmarkResult:
    """The clean and the robust accuracy of a classifier, as RobustBench has them, and beyond it the certified one.

    The true robust accuracy is at most the one under attack, and at least the certified one. The model is run in
    evaluation mode.

    Args:
        model: maps `[N, *shape]` to scores `[N, C]`.
        data: a data set with labels, or a pair of samples and labels.
        threat: "Linf", "L2" or "L1", or any perturbation set.
        eps: the radius, in units of the samples; left out with a set.
        n_examples: how many samples from the beginning of the data; None: all.
        domain: the range of valid inputs, to which balls are clipped; None: none.
        attack: None: `Standard()`.
        certified: whether to bound the network too. Where it cannot be, the result says why.
        batch_size: how many samples are attacked together.
        progress: as in `autodual.attacks.evaluate`, about the attack.

    Raises:
        InvalidInputError: the threat model, the data or their labels do not fit.
        ContradictionError: a sample is both certified and refuted, which is a bug of autodual.

    Example:
        >>> import autodual, torch
        >>> x, labels = torch.tensor([[0.9, 0.1], [0.6, 0.5], [0.2, 0.8]]), torch.tensor([0, 0, 0])
        >>> print(autodual.benchmark(torch.nn.Identity(), (x, labels), "Linf", 0.1))
        clean 66.67 %, robust 33.33 %, certified 33.33 % of 3 samples (l∞ ball of radius 0.1, clipped to [0, 1])
    """
    ball = threat_model(threat, eps, domain)
    x, labels = _samples(data, n_examples)
    x = sample_tensor(x, "data")
    attacked = evaluate(model, x, ball, labels, attack or Standard(), batch_size=batch_size, progress=progress)
    with evaluation_mode(model):
        signs = masking_signs(model, ball.at(x), labels, attack)
    proved: list[Certificate] | None = None
    reason = "" if certified else "not asked for"
    if certified:
        try:
            dual = compile_dual(model)
            proved = certify(dual, x, ball, labels)
            _require_consistent(dual, ball, x, labels, proved, attacked)
        except ContradictionError:
            raise
        except AutodualError as error:
            reason = str(error).splitlines()[0]
    return BenchmarkResult(
        samples=len(attacked),
        clean_accuracy=1 - attacked.clean_error,
        robust_accuracy=1 - attacked.robust_error,
        certified_accuracy=None if proved is None else _certified(proved, attacked),
        uncertified_because=reason,
        perturbation=ball.describe(),
        signs=signs,
    )


def _samples(data: Dataset | tuple[Samples, Labels], count: int | None) -> tuple[Samples, Labels]:
    x, labels = (data.x, data.y) if isinstance(data, Dataset) else data
    if labels is None:
        raise InvalidInputError("a benchmark needs data with labels, but these have none")
    if count is not None and count < 1:
        raise InvalidInputError(f"a benchmark needs one sample or more, not {count}")
    return x[:count], labels[:count]


def _certified(proved: Sequence[Certificate], attacked: Robustness) -> float:
    """The share of samples that are certified. One that an attack has broken by no more than rounding is not."""
    found = [one.certified and not sample.broken for one, sample in zip(proved, attacked, strict=True)]
    return sum(found) / len(found)


@torch.no_grad()
def _require_consistent(
    dual: DualNetwork,
    ball: PerturbationSet,
    x: Tensor,
    labels: Labels,
    proved: Sequence[Certificate],
    attacked: Robustness,
) -> None:
    """Raise ContradictionError where an attack broke a certified sample by more than rounding: in float64, too."""
    pairs = enumerate(zip(proved, attacked, strict=True))
    broken = [place for place, (one, sample) in pairs if one.certified and sample.broken]
    if not broken:
        return
    index = torch.tensor(broken, device=x.device)
    region = require_searchable(ball.at(x).select(index)).to(torch.float64)
    points = region.project(torch.stack([attacked[place].point for place in broken]).double())
    outputs = dual.outputs(points)
    goal = ClassMargin(labels).select(index)
    margins = goal.margin(goal.rows(outputs).values(flat(outputs)))
    beyond = region.contains(points) & (margins < -2 * ROUNDING_SHARE * flat(outputs).abs().amax(1))
    for place in index[beyond].tolist():
        bound, sample = proved[place].margin, attacked[place]
        message = (
            f"sample {place} is certified with margin {bound:g}, and an attack found a point with margin "
            f"{sample.margin:g}: one of the two is wrong, which is a bug: report it with its evidence"
        )
        evidence = {"sample": place, "bound": bound, "value": sample.margin}
        raise ContradictionError(message, {**evidence, "point": sample.point.tolist(), "attack": sample.attack})
