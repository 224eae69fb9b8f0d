"""Certificates: a status for every sample, and never a wrong 'certified'."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual import Status
from autodual.attacks import Fgsm, Pgd
from autodual.errors import InvalidInputError
from autodual.specs import HalfSpaces, OutputBox

LABEL = torch.tensor([0])


def _linear(weight: list[list[float]], bias: list[float], dtype: torch.dtype = torch.float32) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight), dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight, dtype=dtype))
        layer.bias.copy_(torch.tensor(bias, dtype=dtype))
    return layer


def test_all_statuses_and_their_fields(dual: autodual.DualNetwork, x: Tensor, labels: Tensor) -> None:
    ball = autodual.LinfBall(0.35)
    found = autodual.certify(dual, x, ball, labels, slopes="shared", attack=Fgsm())
    assert {certificate.status for certificate in found} == set(Status) - {Status.PROBABLY_CERTIFIED}
    outputs = dual.outputs(x)
    for sample, certificate in enumerate(found):
        label = int(labels[sample])
        assert (certificate.label, certificate.predicted) == (label, int(outputs[sample].argmax()))
        assert (certificate.status is Status.MISCLASSIFIED) == (certificate.predicted != label)
        others = [margin for j, margin in enumerate(certificate.margins) if j != label]
        assert certificate.margins[label] == 0 and certificate.margin == min(others)
        assert certificate.certified == (certificate.margin > 0 and certificate.predicted == label)
        assert (certificate.arithmetic, certificate.failure_probability) == ("float64", 0.0)
        assert "0.35" in certificate.perturbation and "unclipped" in certificate.perturbation
        assert "shared" in certificate.method and certificate.assumptions == ()
        assert 0 < certificate.rounding_error < 1e-10


def test_counterexamples_are_real(dual: autodual.DualNetwork, x: Tensor, labels: Tensor) -> None:
    """Points of the set that the network, run again, puts in another class; other statuses have none."""
    found = autodual.certify(dual, x, autodual.L2Ball(0.4), labels, attack=Pgd(steps=30, restarts=3))
    falsified = [sample for sample, certificate in enumerate(found) if certificate.status is Status.FALSIFIED]
    assert falsified
    for sample, certificate in enumerate(found):
        assert (certificate.counterexample is not None) == (sample in falsified)
    for sample in falsified:
        point = found[sample].counterexample
        assert point is not None and (point - x[sample]).norm() <= 0.4
        assert dual.model(point.unsqueeze(0)).argmax() == found[sample].reached != labels[sample]
        assert torch.equal(found[sample].original, x[sample])


def test_without_labels_the_predicted_class_is_certified(dual: autodual.DualNetwork, x: Tensor) -> None:
    found = autodual.certify(dual, x, autodual.LinfBall(0.05))
    assert all(c.label is None and c.status in (Status.CERTIFIED, Status.UNKNOWN) for c in found)
    assert any(c.certified for c in found)


def test_any_specification(dual: autodual.DualNetwork, x: Tensor, labels: Tensor) -> None:
    """An output box just outside the bounds is certified; a half-space that fails at the sample never is."""
    ball, identity = autodual.LinfBall(0.1), torch.eye(3, dtype=x.dtype)
    lower = dual.lower_bounds(x, ball, identity, slopes="adaptive").min(0).values - 1e-6
    upper = dual.upper_bounds(x, ball, identity, slopes="adaptive").max(0).values + 1e-6
    assert all(c.certified for c in autodual.certify(dual, x, ball, spec=OutputBox(lower, upper)))
    assert not all(c.certified for c in autodual.certify(dual, x, ball, spec=OutputBox(lower + 0.1, upper)))
    outputs = dual.outputs(x)[:, :1]
    failing = HalfSpaces(identity[:1], outputs + 1e-9)
    assert not any(c.certified for c in autodual.certify(dual, x, autodual.LinfBall(0), spec=failing))
    with pytest.raises(InvalidInputError, match="not both"):
        autodual.certify(dual, x, ball, labels, spec=failing)
    with pytest.raises(InvalidInputError, match="label of sample 0 is 3"):
        autodual.certify(dual, x, ball, torch.full_like(labels, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ties_are_not_certified(dtype: torch.dtype) -> None:
    dual = autodual.compile_dual(_linear([[1, 2], [1, 2]], [0.1, 0.1], dtype))
    for radius in (0.0, 0.1):
        (found,) = autodual.certify(dual, torch.ones(1, 2, dtype=dtype), autodual.LinfBall(radius), LABEL)
        assert found.status is Status.UNKNOWN and found.margin <= 0


@pytest.mark.parametrize("slopes", ["shared", "adaptive", "optimized"])
@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf, 1e38, -1e38])
@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_nan_infinite_and_huge_weights_certify_nothing_false(kind: str, layer: int, poison: float, slopes: str) -> None:
    """At any entry, also after compilation; with huge weights only what is true in float64 may be certified."""
    model = nn.Sequential(_linear([[1, 0], [0, 1]], [5, 5]), nn.ReLU(), _linear([[1, 1], [-1, -1]], [9, 0]))
    dual, x, ball = autodual.compile_dual(model), torch.zeros(1, 2), autodual.LinfBall(0.5)
    assert autodual.certify(dual, x, ball, LABEL, slopes=slopes)[0].certified
    values = getattr(model[layer], kind).data.view(-1)
    for place in range(len(values)):
        kept, values[place] = values[place].clone(), poison
        (found,) = autodual.certify(dual, x, ball, LABEL, slopes=slopes)
        outputs = dual.outputs(ball.at(x).corners(64)[:, 0].double())
        assert not found.certified or (math.isfinite(poison) and bool((outputs[:, 0] > outputs[:, 1]).all()))
        values[place] = kept
    values[0] = poison
    if not math.isfinite(poison):
        with pytest.raises(InvalidInputError, match="holds NaN or infinity"):
            autodual.certify(autodual.compile_dual(model), x, ball, LABEL)


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_nan_and_infinite_samples_are_refused(dual: autodual.DualNetwork, x: Tensor, poison: float) -> None:
    x[3, 1] = poison
    with pytest.raises(InvalidInputError, match="sample 3 holds NaN or infinity"):
        autodual.certify(dual, x, autodual.LinfBall(0.1))


def test_float64_decides_what_float32_gets_wrong() -> None:
    """f₀ - f₁ = (1e8 + x) - 1e8 - 1 + gap: in float32 the sign is rounding error, in float64 it is right."""
    for gap, status in [(1e-3, Status.CERTIFIED), (-1e-3, Status.UNKNOWN)]:
        first = _linear([[1.0, 0.0], [0.0, 1.0]], [1e8, 1e8], torch.float64)
        second = _linear([[1.0, -1.0], [0.0, 0.0]], [gap, 0.0], torch.float64)
        dual = autodual.compile_dual(nn.Sequential(first, nn.ReLU(), second))
        x = torch.full((1, 2), 0.25)
        (found,) = autodual.certify(dual, x, autodual.LinfBall(1e-6), LABEL)
        assert (found.status is Status.CERTIFIED) == (status is Status.CERTIFIED)
        assert found.arithmetic == "float64"
        assert found.margin == pytest.approx(gap - 2e-6, abs=1e-5)


def test_easy_samples_stay_in_float32() -> None:
    dual = autodual.compile_dual(_linear([[1, 0], [0, 1]], [5, 0]))
    (found,) = autodual.certify(dual, torch.zeros(1, 2), autodual.LinfBall(0.1), LABEL)
    assert found.certified and found.arithmetic == "float32" and found.margin > found.rounding_error > 0


def test_products_that_underflow_are_not_treated_as_zero() -> None:
    """relu(t) + relu(-t) with |t| below float32's least number, then magnified: the minimum is negative."""
    least = 2.0**-149
    hidden = _linear([[least, -least], [-least, least]], [0, 0])
    dual = autodual.compile_dual(nn.Sequential(hidden, nn.ReLU(), _linear([[-(2.0**127)] * 2, [0, 0]], [1e-7, 0])))
    worst = dual.outputs(torch.tensor([[0.9, 0.1]], dtype=torch.float64))
    assert worst[0, 0] < worst[0, 1]
    (found,) = autodual.certify(dual, torch.full((1, 2), 0.5), autodual.LinfBall(0.4), LABEL)
    assert not found.certified


def test_known_intervals_are_assumptions(dual: autodual.DualNetwork, x: Tensor, labels: Tensor) -> None:
    """Known intervals tighten bounds, also in another dtype than the samples', and certificates name them."""
    ball = autodual.LinfBall(0.6)
    known = dual.bounds(x, autodual.LinfBall(0.0))
    plain = autodual.certify(dual, x.float(), ball, labels)
    found = autodual.certify(dual, x.float(), ball, labels, known=known)
    assert all(c.assumptions == tuple(f"interval of node '{site}' taken as known" for site in known) for c in found)
    assert sum(c.certified for c in found) > sum(c.certified for c in plain)
