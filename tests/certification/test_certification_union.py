"""Certificates, radii and detection over a union: exactly the worst result over its members."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import autodual
from autodual.attacks import Pgd
from autodual.certification import Status, sample_task
from autodual.certification.proof_parts import over_all
from autodual.passes import HighProbability, default_pipeline
from autodual.perturbations import PerturbationSet, choose_set
from autodual.specs import Formula

BALLS = (autodual.LinfBall(0.12), autodual.L2Ball(0.16), autodual.L1Ball(0.2))


@pytest.mark.parametrize("options", [{}, {"deployed": True}, {"slopes": "optimized"}, {"inner": "interval"}])
def test_a_certificate_is_the_worst_of_the_members(
    dual: autodual.DualNetwork, x: Tensor, labels: Tensor, options: dict
) -> None:
    sets = (*BALLS, autodual.Box(x - 0.05, x + 0.13))
    found = autodual.certify(dual, x, autodual.Union(*sets), labels, **options)
    single = [autodual.certify(dual, x, member, labels, **options) for member in sets]
    deciding = set()
    for union, *members in zip(found, *single, strict=True):
        worst = min(members, key=lambda one: one.margin)
        assert union.margin == worst.margin and union.decided_by == worst.perturbation
        assert union.margins == tuple(map(min, *[one.margins for one in members]))
        assert union.certified == all(one.certified for one in members)
        assert union.rounding_error == max(one.rounding_error for one in members)
        assert union.execution_error == max(one.execution_error for one in members)
        deciding.add(union.decided_by)
    assert len(deciding) >= 2 and {one.status for one in found} >= {Status.CERTIFIED, Status.MISCLASSIFIED}


def test_points_of_the_union_and_attacks_stay_above_the_margins(
    dual: autodual.DualNetwork, x: Tensor, labels: Tensor
) -> None:
    union = autodual.Union(*BALLS)
    found = autodual.certify(dual, x, union, labels, attack=Pgd(steps=20, restarts=2))
    region = union.at(x)
    points = torch.cat([region.sample(200, torch.Generator().manual_seed(0)), region.corners(200)])
    scores = dual.outputs(points.flatten(0, 1)).unflatten(0, points.shape[:2])
    own = scores.gather(2, labels.expand(len(points), -1).unsqueeze(2))
    margins = torch.tensor([one.margins for one in found], dtype=x.dtype)
    assert ((own - scores).amin(0) >= margins - 1e-12).all()
    falsified = [one for one in found if one.status is Status.FALSIFIED]
    assert falsified and all(one.margin < 0 and one.counterexample is not None for one in falsified)


def test_members_are_tighter_than_their_hull(dual: autodual.DualNetwork, x: Tensor, labels: Tensor) -> None:
    union = autodual.Union(*BALLS)
    rows = dual.label_rows(x, labels)
    hull = rows.complete(dual(x, union, rows, slopes="adaptive", inner="dual", last="dual").objective.lower)
    exact = torch.tensor([one.margins for one in autodual.certify(dual, x, union, labels)], dtype=x.dtype)
    members = torch.stack([dual.margins(x, labels, ball, slopes="adaptive") for ball in BALLS]).amin(0)
    torch.testing.assert_close(exact, members)
    assert torch.equal(dual.margins(x, labels, union, slopes="adaptive"), members)
    assert (hull <= exact + 1e-9).all() and (hull < exact - 1e-3).any()


def test_alternatives_may_hold_over_different_members() -> None:
    """Each alternative holds over one box only; neither holds over the union, but at every point one of them does."""
    dual = autodual.compile_dual(nn.Identity(), torch.zeros(1, 1, dtype=torch.float64))
    halves = autodual.Box(-2.0, -1.0), autodual.Box(1.0, 2.0)
    x = torch.zeros(1, 1, dtype=torch.float64)
    (found,) = autodual.certify(dual, x, autodual.Union(*halves), spec=Formula("y0 > 0.5 or y0 < -0.5"))
    singles = [autodual.certify(dual, x, half, spec=Formula("y0 > 0.5 or y0 < -0.5"))[0] for half in halves]
    assert found.margin == min(one.margin for one in singles) and all(margin < 0 for margin in found.margins)


def test_radii_are_those_of_the_worst_member(dual: autodual.DualNetwork, x: Tensor) -> None:
    make = choose_set("union", {"members": "linf:0.5,l2:0.7,l1:0.9"}).make
    found = autodual.certified_radius(dual, x, make, max_radius=2.0, slopes="shared")
    kinds = (autodual.LinfBall, 0.5), (autodual.L2Ball, 0.7), (autodual.L1Ball, 0.9)
    single = [
        autodual.certified_radius(dual, x, kind, max_radius=2.0 * size, slopes="shared") / size for kind, size in kinds
    ]
    torch.testing.assert_close(found, torch.stack(single).amin(0), atol=1e-3, rtol=0)
    assert len(torch.stack(single).argmin(0).unique()) > 1
    positive = (found > 0).nonzero()[:, 0]
    assert all(one.certified for one in autodual.certify(dual, x[positive], make(found[positive]), slopes="shared"))


def test_detection_and_cascades_use_every_member(dual: autodual.DualNetwork, x: Tensor) -> None:
    union = autodual.Union(*BALLS)
    flags = torch.stack([autodual.detect(dual, x, ball) for ball in BALLS]).any(0)
    assert torch.equal(autodual.detect(dual, x, union), flags) and 0 < int(flags.sum()) < len(flags)
    with pytest.raises(autodual.AutodualError, match="not a fixed box"):
        autodual.detect(dual, x, autodual.Union(*BALLS, autodual.Box(-1.5, 1.5)))
    found = autodual.certify_cascade(autodual.Cascade([dual, dual]), x, union)
    assert [one.certified for one in found] == [not flag for flag in flags.tolist()]


def test_a_union_of_one_set_is_that_set(dual: autodual.DualNetwork, x: Tensor, labels: Tensor) -> None:
    alone, ball = (autodual.certify(dual, x, one, labels) for one in (autodual.Union(BALLS[1]), BALLS[1]))
    assert [str(one) for one in alone] == [str(one) for one in ball] and not any(one.decided_by for one in alone)
    assert [one.perturbation for one in alone] == [one.perturbation for one in ball]


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf")])
def test_a_member_without_finite_bounds_decides(
    poison: float, dual: autodual.DualNetwork, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If one member's bounds are NaN or infinite, nothing is proved over the union."""
    proofs = []

    def tampered(*arguments, **options):
        found = [original(arguments[0], ball.at(x), *arguments[2:], **options) for ball in BALLS]
        lost = torch.zeros_like(found[1].proved)
        found[1] = type(found[1])(
            **{**vars(found[1]), "margin": torch.full_like(found[1].margin, poison), "proved": lost}
        )
        proofs.append(over_all(found))
        return proofs[-1]

    original = sample_task.prove
    monkeypatch.setattr(sample_task, "prove", tampered)
    found = autodual.certify(dual, x, autodual.Union(*BALLS))
    assert not any(one.certified for one in found) and not bool(proofs[0].proved.any())
    if poison != float("inf"):
        assert bool((proofs[0].member == 1).all())


def test_factors_of_a_product_may_be_unions() -> None:
    torch.manual_seed(0)
    dual = autodual.compile_dual(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)), torch.zeros(1, 4))
    x, shapes = torch.rand(6, 4), ((2,), (2,))
    sets: list[PerturbationSet] = [autodual.LinfBall(0.1), autodual.L1Ball(0.15)]
    found = autodual.certify(dual, x, autodual.ProductSet((autodual.Union(*sets), autodual.L2Ball(0.1)), shapes))
    single = [autodual.certify(dual, x, autodual.ProductSet((one, autodual.L2Ball(0.1)), shapes)) for one in sets]
    assert [one.margin for one in found] == [min(a.margin, b.margin) for a, b in zip(*single, strict=True)]


def test_failure_probabilities_of_members_are_added() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    passes = [*default_pipeline(), HighProbability(0.01, 50, prefer_exact=False)]
    dual, x = autodual.compile_dual(model, torch.zeros(1, 6), passes=passes), torch.rand(5, 6)
    balls = autodual.LinfBall(0.1), autodual.L2Ball(0.3)
    single = [autodual.certify(dual, x, ball) for ball in balls]
    for union, *members in zip(autodual.certify(dual, x, autodual.Union(*balls)), *single, strict=True):
        assert union.failure_probability == min(sum(one.failure_probability for one in members), 1.0) > 0
        assert union.margin == min(one.margin for one in members)
