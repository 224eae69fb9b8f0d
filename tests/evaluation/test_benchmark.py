"""The one-line benchmark: its figures are those of certificates and attacks run separately."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.attacks import Apgd, Pgd, broken
from autodual.data import load_dataset
from autodual.errors import ContradictionError, InvalidInputError

X = torch.rand(30, 6, generator=torch.Generator().manual_seed(0))
QUICK = Apgd(5, objective="margin")


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)).requires_grad_(False)


MODEL = network()
LABELS = torch.where(torch.arange(30) % 5 == 0, 0, MODEL(X).argmax(1))


@pytest.mark.parametrize(
    ("threat", "ball"),
    [
        ("Linf", autodual.LinfBall(0.05, domain=(0, 1))),
        ("L2", autodual.L2Ball(0.05, domain=(0, 1))),
        ("L1", autodual.L1Ball(0.05, domain=(0, 1))),
    ],
)
def test_figures_are_those_of_attacks_and_certificates(threat: str, ball) -> None:
    found = autodual.benchmark(MODEL, (X, LABELS), threat, 0.05, attack=QUICK)
    certificates = autodual.certify(autodual.compile_dual(MODEL), X, ball, LABELS)
    assert found.samples == 30
    assert found.clean_accuracy == pytest.approx(float((MODEL(X).argmax(1) == LABELS).float().mean()))
    assert found.robust_accuracy == pytest.approx(float(1 - broken(MODEL, ball.at(X), LABELS, QUICK).float().mean()))
    assert found.certified_accuracy == sum(one.certified for one in certificates) / 30
    assert found.certified_accuracy <= found.robust_accuracy <= found.clean_accuracy
    assert found.perturbation == ball.describe()


def test_any_set_and_data_set_are_accepted() -> None:
    data = load_dataset("sample").slice(0, 8)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    union = autodual.Union(autodual.LinfBall(0.01), autodual.L2Ball(0.1))
    found = autodual.benchmark(model, data, union, n_examples=4, attack=Pgd(5))
    assert found.samples == 4 and found.perturbation == union.describe()


def test_a_network_that_cannot_be_bounded_says_so() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.fft.fft(MODEL(x)).real

    found = autodual.benchmark(Odd(), (X, LABELS), "Linf", 0.01, attack=Pgd(2))
    assert found.certified_accuracy is None
    assert "no dual rule" in found.uncertified_because and "not certified" in str(found)
    without = autodual.benchmark(MODEL, (X, LABELS), "Linf", 0.01, attack=Pgd(2), certified=False)
    assert without.certified_accuracy is None and without.uncertified_because == "not asked for"


def test_masking_signs_are_reported_with_the_figures() -> None:
    class Rounding(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return MODEL((2 * x).round())

    model = Rounding()
    found = autodual.benchmark(model, (X, model(X).argmax(1)), "Linf", 0.2, attack=Pgd(5), certified=False)
    assert found.signs[0].name == "zero-gradients"
    assert found.signs[0].text in str(found).splitlines()


def test_the_model_runs_in_evaluation_mode_and_stays_as_it_was() -> None:
    model = nn.Sequential(nn.Dropout(0.5), MODEL).train()
    found = autodual.benchmark(model, (X, LABELS), "Linf", 0.05, attack=QUICK)
    assert found == autodual.benchmark(MODEL, (X, LABELS), "Linf", 0.05, attack=QUICK)
    assert model.training and model[0].training


def test_a_certificate_with_a_counterexample_stops_the_benchmark(monkeypatch) -> None:
    proved = [SimpleNamespace(certified=True, margin=1.0, execution_error=1e-6)] * 30
    monkeypatch.setattr(import_module("autodual.evaluation.benchmark"), "certify", lambda *arguments: proved)
    with pytest.raises(ContradictionError, match="is certified with margin 1, and an attack found") as stopped:
        autodual.benchmark(MODEL, (X, LABELS), "Linf", 0.5, attack=Apgd(20, objective="margin"))
    evidence = stopped.value.evidence
    point = torch.tensor(evidence["point"])
    assert MODEL(point[None]).argmax(1) != LABELS[evidence["sample"]]


def test_a_point_that_only_float32_breaks_stops_nothing(monkeypatch) -> None:
    """The two scores are equal but for a bias that a run in float32 loses and one in float64 does not."""
    model = nn.Linear(1, 2).requires_grad_(False)
    model.weight.copy_(torch.tensor([[1.0], [1.0]]))
    model.bias.copy_(torch.tensor([1e-9, 0.0]))
    x, labels = torch.ones(1, 1), torch.tensor([0])
    proved = [SimpleNamespace(certified=True, margin=1e-9, execution_error=None)]
    broken_ = [SimpleNamespace(broken=True, margin=-1e-7, point=torch.tensor([1.1]), attack="Pgd")]
    benchmark = import_module("autodual.evaluation.benchmark")
    assert benchmark._certified(proved, broken_) == 0
    dual, ball = autodual.compile_dual(model, x), autodual.LinfBall(0.2)
    benchmark._require_consistent(dual, ball, x, labels, proved, broken_)
    model.bias.copy_(torch.tensor([-1e-3, 0.0]))
    with pytest.raises(ContradictionError, match="sample 0 is certified"):
        benchmark._require_consistent(dual, ball, x, labels, proved, broken_)


def test_threat_models_need_exactly_one_radius() -> None:
    with pytest.raises(InvalidInputError, match="needs a radius, such as eps=8/255"):
        autodual.benchmark(MODEL, (X, LABELS))
    with pytest.raises(InvalidInputError, match="leave eps out"):
        autodual.benchmark(MODEL, (X, LABELS), autodual.LinfBall(0.1), 0.1)
    with pytest.raises(InvalidInputError, match="there are Linf, L2, L1"):
        autodual.benchmark(MODEL, (X, LABELS), "linf", 0.1)
    with pytest.raises(InvalidInputError, match="one sample or more"):
        autodual.benchmark(MODEL, (X, LABELS), "Linf", 0.1, n_examples=0)
