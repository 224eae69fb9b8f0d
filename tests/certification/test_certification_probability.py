"""High-probability certificates fail at most as often as stated, never count as deterministic, and are reproducible."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.projections import estimated_state
from torch import Tensor, nn

import autodual
from autodual.bounds import Projections
from autodual.bounds.columns.push import push_bounds
from autodual.certification import Status
from autodual.errors import InvalidInputError
from autodual.estimators import CauchyGeometricMean, GaussianNorm
from autodual.passes import HighProbability, Pass, RandomProjection, default_pipeline
from autodual.perturbations import L2Ball, LinfBall
from autodual.policies import Projection


def _network(seed: int = 0, width: int = 12) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = (nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
    return nn.Sequential(*layers, nn.Linear(width, 3)).double()


def _points(count: int = 2, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(count, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def _compiled(model: nn.Module, x: Tensor, *passes: Pass) -> autodual.DualNetwork:
    return autodual.compile_dual(model, x, passes=[*default_pipeline(), *passes])


def _violated(
    dual: autodual.DualNetwork, x: Tensor, ball: LinfBall | L2Ball, projection: Projection, seed: int
) -> bool:
    """Whether an estimated interval that a certificate uses is narrower than the exact one over the same layers."""
    state, _ = estimated_state(dual, x, ball, projection, seed=seed)
    for site in dual.plan.sites[1:]:
        exact, found = push_bounds(state, site), state.intervals[site]
        if bool((found.lower > exact.lower + 1e-12).any() | (found.upper < exact.upper - 1e-12).any()):
            return True
    return False


@pytest.mark.parametrize("ball", [LinfBall(0.15), L2Ball(0.3)], ids=["linf", "l2"])
def test_certificates_fail_at_most_as_often_as_stated(ball: LinfBall | L2Ball) -> None:
    """Over 2,000 seeds; without the inflation factor nearly all fail, so the test can tell."""
    x, trials = _points(1), 2000
    dual = autodual.compile_dual(_network(), x)
    with torch.no_grad():
        careful = sum(_violated(dual, x, ball, Projection(20, delta=0.5), seed) for seed in range(trials))
        medians = sum(_violated(dual, x, ball, Projection(20), seed) for seed in range(100))
    assert careful / trials <= 0.5
    assert careful > 0  # the factor is not far too large
    assert medians > 90


def test_the_union_bound_counts_the_estimates_of_the_graph() -> None:
    """One estimate per norm for each unit of the sites that need rows; the first layer behind a box needs none."""
    x, objective = _points(1), torch.eye(3, dtype=torch.float64)
    model = _network(width=12)
    for where, linf, l2 in (("inner", 24, 72), ("last", 3, 6), ("both", 27, 78)):
        dual = _compiled(model, x, HighProbability(0.01, 50, where=where, prefer_exact=False))  # type: ignore[arg-type]
        found = dual(x, LinfBall(0.1), objective)
        assert found.estimates == linf and dual(x, L2Ball(0.1), objective).estimates == l2
        assert found.inflation == CauchyGeometricMean(50).inflation(0.01 / linf)
    inflation = max(kind(50).inflation(0.01 / 78) for kind in (CauchyGeometricMean, GaussianNorm))
    assert dual(x, L2Ball(0.1), objective).inflation == inflation


def test_an_input_that_is_a_bound_site_is_never_estimated() -> None:
    """Its bound is its enclosure, for balls too; estimates of it, missing in the union bound, would certify wrongly."""

    class Votes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.count = nn.Linear(40, 2).double()
            with torch.no_grad():
                self.count.weight.copy_(torch.tensor([[0.0], [1.0]]).expand(2, 40))
                self.count.bias.copy_(torch.tensor([39.0, 0.0]))

        def forward(self, x: Tensor) -> Tensor:
            return self.count(torch.sign(x))

    x = -torch.ones(1, 40, dtype=torch.float64)
    radius = 1.01 * 40**0.5  # just enough to make all votes positive
    dual = _compiled(Votes(), x, HighProbability(0.1, 1, prefer_exact=False))
    found = dual(x, L2Ball(radius), torch.eye(2, dtype=torch.float64))
    assert found.failure_probability.tolist() == [0.0] and found.estimates == 0
    (certificate,) = autodual.certify(dual, x, L2Ball(radius), torch.tensor([0]))
    assert certificate.status is Status.UNKNOWN


def test_gradients_pass_batch_norms_that_are_not_folded() -> None:
    """Recomputation in the backward pass must not reuse what a layer cached in the forward pass."""
    torch.manual_seed(0)
    layers = (nn.Linear(6, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    model, x = nn.Sequential(*layers).double().eval(), _points(2)
    dual = _compiled(model, x, HighProbability(0.1, 16, prefer_exact=False))
    dual.margins(x, torch.tensor([0, 1]), LinfBall(0.1)).sum().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.isfinite().all()) for parameter in model.parameters())


def test_every_site_has_random_numbers_of_its_own() -> None:
    """The relaxations before a site depend on earlier sites' columns, so these must not be used again (errata B5)."""
    x = _points(1)
    state, _ = estimated_state(autodual.compile_dual(_network(), x), x, LinfBall(0.1), Projection(8, delta=0.1))
    projections = state.memories.get(Projections)
    assert projections is not None
    (term,) = projections.terms
    streams = {projections._norms._stream(term, site).key for site in (*state.graph.by_name, "(objective)")}
    assert len(streams) == len(state.graph.nodes) + 1
    training, _ = estimated_state(autodual.compile_dual(_network(), x), x, LinfBall(0.1), Projection(8))
    drawn = training.memories.get(Projections)
    assert drawn is not None
    assert len({drawn._norms._stream(term, site).key for site in state.graph.by_name}) == 1


def test_statuses_tell_deterministic_from_probable() -> None:
    x = _points(6, torch.float32)
    model = _network().float()
    ball = LinfBall(0.05)
    probable = autodual.certify(_compiled(model, x, HighProbability(0.05, 400, prefer_exact=False)), x, ball)
    exact = autodual.certify(autodual.compile_dual(model, x), x, ball, slopes="shared")
    assert any(certificate.status is Status.PROBABLY_CERTIFIED for certificate in probable)
    estimated = [place for place, certificate in enumerate(probable) if certificate.failure_probability > 0]
    assert len(estimated) >= 4
    for found, known in ((probable[place], exact[place]) for place in estimated):
        assert found.status is not Status.CERTIFIED and not found.certified
        assert found.failure_probability == 0.05 and found.confidence == 0.95
        assert "400 random projections with seed 0" in found.method and found.arithmetic == "float64"
        assert found.margin <= known.margin + 1e-4  # float64 against float32
        assert known.failure_probability == 0 and "projection" not in known.method


def test_a_batch_mixes_exact_and_estimated_samples() -> None:
    """A sample with few undecided units is bounded exactly, whoever else is in the batch."""
    x = _points(4)
    radius = torch.tensor([1e-4, 0.3, 1e-4, 0.3], dtype=torch.float64)
    dual = _compiled(_network(width=40), x, HighProbability(0.05, 8))
    together = autodual.certify(dual, x, LinfBall(radius))
    assert [certificate.failure_probability for certificate in together] == [0.0, 0.05, 0.0, 0.05]
    for sample, certificate in enumerate(together):
        own = radius[sample : sample + 1]
        (alone,) = autodual.certify(dual, x[sample : sample + 1], LinfBall(own))
        assert alone.failure_probability == certificate.failure_probability and alone.status == certificate.status
        assert alone.margins == pytest.approx(certificate.margins, abs=1e-12)
        if sample in (0, 2):
            assert certificate.status is Status.CERTIFIED and "projection" not in certificate.method


def test_exact_rows_are_used_where_they_are_cheaper() -> None:
    """A large number of projections is not used where the exact bound costs less (errata B7)."""
    x = _points(3)
    dual = _compiled(_network(), x, HighProbability(0.05, 100_000))
    exact = autodual.certify(autodual.compile_dual(_network(), x), x, LinfBall(0.1), slopes="shared")
    for found, known in zip(autodual.certify(dual, x, LinfBall(0.1)), exact):
        assert found.failure_probability == 0
        assert found.margins == pytest.approx(known.margins, abs=1e-12) and found.status is known.status


def test_medians_certify_nothing() -> None:
    """A network compiled for training is certified by exact bounds; its estimates have failure probability 1."""
    x, ball = _points(3), LinfBall(0.05)
    dual = _compiled(_network(), x, RandomProjection(5, seed=0, where="both"))
    plain = autodual.compile_dual(_network(), x)
    for found, known in zip(autodual.certify(dual, x, ball), autodual.certify(plain, x, ball)):
        assert (found.status, found.failure_probability) == (known.status, 0.0)
        assert found.margins == known.margins
    assert dual(x, ball, torch.eye(3, dtype=torch.float64)).failure_probability.tolist() == [1.0] * 3


def test_radii_detections_and_verdicts_are_deterministic() -> None:
    """They come from many bounds, whose failure probabilities are not added up."""
    x = _points(3)
    careful, plain = _compiled(_network(), x, HighProbability(0.1, 8, prefer_exact=False)), _network()
    exact = autodual.compile_dual(plain, x)
    assert torch.equal(
        autodual.certified_radius(careful, x, LinfBall, max_radius=0.5),
        autodual.certified_radius(exact, x, LinfBall, max_radius=0.5),
    )
    assert torch.equal(autodual.detect(careful, x, LinfBall(0.05)), autodual.detect(exact, x, LinfBall(0.05)))


def test_nan_and_infinite_weights_certify_nothing() -> None:
    x = _points(2)
    for value in (float("nan"), float("inf")):
        for prefer in (True, False):
            model = _network()
            dual = _compiled(model, x, HighProbability(0.1, 20, prefer_exact=prefer))
            with torch.no_grad():
                model[2].weight[3, 3] = value
            assert {c.status for c in autodual.certify(dual, x, LinfBall(0.01))} <= {
                Status.UNKNOWN,
                Status.MISCLASSIFIED,
            }


def test_adaptive_slopes_are_refused() -> None:
    x = _points(2)
    with pytest.raises(InvalidInputError, match="slopes='shared'"):
        autodual.certify(_compiled(_network(), x, HighProbability()), x, LinfBall(0.1), slopes="adaptive")


def test_a_seed_gives_the_same_certificate_in_every_call_and_batch() -> None:
    x = _points(5)
    model, ball = _network(), LinfBall(0.1)
    dual = _compiled(model, x, HighProbability(0.1, 20, seed=4, prefer_exact=False))
    margins = [certificate.margins for certificate in autodual.certify(dual, x, ball)]
    again = [
        certificate.margins for start in (0, 2) for certificate in autodual.certify(dual, x[start : start + 3], ball)
    ]
    for one, other in zip([*margins[:3], *margins[2:]], again):
        assert one == pytest.approx(other, abs=1e-12)
    other_seed = _compiled(model, x, HighProbability(0.1, 20, seed=5, prefer_exact=False))
    assert autodual.certify(other_seed, x, ball)[0].margins != margins[0]


SCRIPT = """
import os, torch, autodual
from autodual.passes import HighProbability, RandomProjection, default_pipeline
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(6, 12), torch.nn.ReLU(), torch.nn.Linear(12, 12), torch.nn.ReLU(),
                            torch.nn.Linear(12, 3)).double()
x = torch.rand(4, 6).double()
found = []
for step in (HighProbability(0.1, 20, seed=4, prefer_exact=False), RandomProjection(20, seed=4)):
    dual = autodual.compile_dual(model, x, passes=[*default_pipeline(), step])
    found.append(dual.margins(x, torch.zeros(4, dtype=torch.long), autodual.LinfBall(0.1)).flatten().tolist())
    if isinstance(step, HighProbability):
        found.append([c.margins for c in autodual.certify(dual, x, autodual.LinfBall(0.1))])
with open(os.path.join(os.environ["OUT"], os.environ.get("RANK", "alone")), "w") as file:
    file.write(repr(found))
"""


def test_processes_with_the_same_seed_draw_the_same_numbers(tmp_path: Path) -> None:
    """Each of two processes under torchrun gets the bounds that one process alone gets."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    environment = {"OUT": str(tmp_path), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, str(script)], check=True, env=environment)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    subprocess.run(launcher, check=True, env=environment, capture_output=True)
    alone, *ranks = ((tmp_path / name).read_text(encoding="utf-8") for name in ("alone", "0", "1"))
    assert ranks == [alone, alone]
