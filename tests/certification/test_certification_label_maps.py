"""Label maps: per-pixel classifiers and sequences, compared with one ordinary classifier for each position."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as functional
from torch import Tensor, nn

import autodual
from autodual.attacks import Pgd
from autodual.certification import Status
from autodual.errors import InvalidInputError
from autodual.passes import HighProbability, default_pipeline
from autodual.specs import ClassMargin, Formula, TopK
from autodual.train.losses import Adversarial, Clean, IntervalBound, Robust

BALL = autodual.LinfBall(0.02, (0, 1))


class Tiny(nn.Module):
    """A U-Net of two levels: three classes of 4 × 6 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 3, 3, padding=1)
        self.deep = nn.Conv2d(3, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 3, 2, stride=2)
        self.last = nn.Conv2d(6, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.down(x).relu()
        deep = self.deep(functional.max_pool2d(first, 2)).relu()
        return self.last(torch.cat([first, self.up(deep)], 1))


class Pixel(nn.Module):
    """One position of a network as an ordinary classifier."""

    def __init__(self, model: nn.Module, row: int, column: int) -> None:
        super().__init__()
        self.model, self.row, self.column = model, row, column

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)[:, :, self.row, self.column]


torch.manual_seed(0)
MODEL = Tiny().double().eval()
with torch.no_grad():
    MODEL.last.weight *= 3
X = torch.rand(3, 1, 4, 6, dtype=torch.float64)
DUAL = autodual.compile_dual(MODEL, X)
PREDICTED = MODEL(X).argmax(1)


def test_float64_decides_a_pixel_although_others_are_wrong_or_undecidable() -> None:
    """Pixel 0 loses its digits in float32, pixel 1 is wrong, pixel 2 is undecided in any arithmetic, 3 is ignored."""
    first, second = nn.Linear(2, 3), nn.Linear(3, 8)
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[1e-2, 0.0], [0.0, 1e-2], [1.0, 0.0]]))
        first.bias.copy_(torch.tensor([1e4, 1e4, 1.0]))
        second.weight.zero_()
        second.weight[0] = torch.tensor([1.0, -1.0, 0.0])
        second.weight[2] = torch.tensor([0.0, 0.0, 1.0])
        second.bias.copy_(torch.tensor([1e-3, 0.0, -0.999, 0.0, 0.0, 1.0, 0.0, 0.0]))
    model = nn.Sequential(first, nn.ReLU(), second, nn.Unflatten(1, (2, 4)))
    dual, x = autodual.compile_dual(model, torch.zeros(1, 2)), torch.zeros(1, 2)
    labels = torch.tensor([[0, 0, 0, -100]])
    (found,) = autodual.certify(dual, x, autodual.LinfBall(1e-2), labels)
    assert found.positions is not None and found.status is Status.MISCLASSIFIED and found.arithmetic == "float64"
    assert found.positions.certified.tolist() == [True, False, False, False]
    labels[0, 0] = -100  # now no pixel is left that float64 could help
    (found,) = autodual.certify(dual, x, autodual.LinfBall(1e-2), labels)
    assert found.arithmetic == "float32" and not found.positions.certified.any()


def labels_with_faults() -> Tensor:
    labels = PREDICTED.clone()
    labels[0, 1, 2] = (labels[0, 1, 2] + 1) % 3
    labels[1, 0] = -100
    labels[2] = -100
    return labels


def test_every_pixel_is_certified_as_it_would_be_by_itself():
    found = autodual.certify(DUAL, X, BALL)
    for row, column in ((0, 0), (1, 5), (3, 2)):
        alone = autodual.certify(autodual.compile_dual(Pixel(MODEL, row, column), X), X, BALL)
        for whole, single in zip(found, alone, strict=True):
            assert float(whole.positions.margins[row, column]) == pytest.approx(single.margin, abs=1e-9)
            assert bool(whole.positions.certified[row, column]) == single.certified
            assert int(whole.positions.predicted[row, column]) == single.predicted
    certified = [one.positions.certified_count for one in found]
    assert 0 < sum(certified) < PREDICTED.numel(), "the radius certifies all pixels or none, which tests nothing"
    for one in found:
        assert one.certified == bool(one.positions.certified.all())
        assert one.margin == pytest.approx(float(one.positions.margins.min()))
        assert one.margins == tuple(one.positions.margins.flatten().tolist())
        assert (one.label, one.predicted, one.positions.labels) == (None, None, None)
        assert one.positions.correct_count == one.positions.count == 24


def test_no_point_of_the_set_changes_a_certified_pixel():
    found = autodual.certify(DUAL, X, BALL)
    certified = torch.stack([one.positions.certified for one in found])
    region = BALL.at(X)
    points = torch.cat([region.sample(300), region.corners(300)]).flatten(0, 1)
    same = (MODEL(points).argmax(1) == PREDICTED.repeat(600, 1, 1)).reshape(600, *PREDICTED.shape).all(0)
    assert same[certified].all()
    assert not same.all()


def with_options(model=MODEL, x=X, passes=None, **options) -> autodual.DualNetwork:
    """A dual network whose bounds are computed in another way."""
    compiled = autodual.compile_dual(model, x, passes=passes).compiled(x)
    plan = replace(compiled.plan, options=replace(compiled.plan.options, **options))
    return autodual.DualNetwork(model, lambda model, x: replace(compiled, plan=plan))


def test_windows_whole_rows_and_given_rows_give_the_same_bounds():
    rows = DUAL.label_rows(X, PREDICTED)
    expected = DUAL(X, BALL, rows, rigorous=True, linear=True).objective
    given = DUAL(X, BALL, rows.whole, rigorous=True, linear=True).lower
    torch.testing.assert_close(rows.complete(expected.lower), given, atol=1e-9, rtol=0)
    for options in ({"windows": False}, {"windows": False, "at_once": 5}, {"at_once": 5}):
        found = with_options(**options)(X, BALL, rows, rigorous=True, linear=True).objective
        torch.testing.assert_close(found.lower, expected.lower, atol=1e-9, rtol=0)
        for name, coefficients in expected.linear.coefficients.items():
            torch.testing.assert_close(coefficients, found.linear.coefficients[name], atol=1e-9, rtol=0)


def test_ignored_pixels_are_not_certified():
    first, second, third = autodual.certify(DUAL, X, BALL, labels_with_faults())
    assert first.status is Status.MISCLASSIFIED
    assert (first.positions.count, first.positions.correct_count) == (24, 23)
    assert second.positions.count == 18 and not second.positions.certified[0].any()
    assert second.positions.margins[0].isnan().all() and not second.positions.margins[1:].isnan().any()
    assert second.certified == bool(second.positions.certified[1:].all())
    assert (third.status, third.positions.count) == (Status.UNKNOWN, 0) and not third.certified


def test_an_ordinary_label_may_be_ignored_too():
    dual = autodual.compile_dual(Pixel(MODEL, 0, 0), X)
    labels = PREDICTED[:, 0, 0].clone()
    labels[0] = -100
    found = autodual.certify(dual, X, autodual.LinfBall(0.0), labels)
    assert [one.status for one in found] == [Status.UNKNOWN, Status.CERTIFIED, Status.CERTIFIED]
    assert found[0].label is None


def test_an_attack_on_any_pixel_refutes_the_sample():
    wide = autodual.LinfBall(0.3, (0, 1))
    found = autodual.certify(DUAL, X, wide, PREDICTED, attack=Pgd(10))
    assert Status.FALSIFIED in {one.status for one in found}
    for number, one in enumerate(found):
        if one.status is Status.FALSIFIED:
            changed = MODEL(one.counterexample.unsqueeze(0)).argmax(1)[0] != PREDICTED[number]
            assert changed.any() and not (changed & one.positions.certified).any()


def test_radii_and_flags_are_for_whole_samples():
    labels = labels_with_faults()
    radii = autodual.certified_radius(DUAL, X, autodual.LinfBall, labels, max_radius=0.1, max_steps=12)
    assert radii[0] == 0 and radii[1] > 0 and radii[2] == 0
    assert autodual.certify(DUAL, X, autodual.LinfBall(radii), labels)[1].certified
    nearly = autodual.LinfBall(1e-4)
    flags = autodual.detect(DUAL, X, nearly)
    assert flags.tolist() == [not one.certified for one in autodual.certify(DUAL, X, nearly)]
    assert autodual.detect(DUAL, X, autodual.LinfBall(0.5)).all()


def test_top_k_holds_at_every_pixel():
    second = MODEL(X).topk(2, 1).indices[:, 1]
    tiny = autodual.LinfBall(0.0)
    assert all(one.certified for one in autodual.certify(DUAL, X, tiny, spec=TopK(second, 2)))
    assert not any(one.certified for one in autodual.certify(DUAL, X, tiny, spec=TopK(second, 1)))


def test_the_robust_loss_is_the_mean_over_pixels_and_bounds_the_worst_one():
    labels = labels_with_faults()
    loss = autodual.robust_loss(DUAL, X, labels, BALL)
    points = BALL.at(X).sample(200)
    worst = torch.stack([functional.cross_entropy(MODEL(point), labels) for point in points]).max()
    assert loss >= worst
    by_pixel = autodual.robust_loss(DUAL, X, labels, BALL, reduction="none")
    assert by_pixel.shape == labels.shape
    torch.testing.assert_close(loss, by_pixel[labels != -100].mean())
    torch.testing.assert_close(Robust()(DUAL, X, labels, BALL), loss)
    torch.testing.assert_close(Clean()(DUAL, X, labels, BALL), functional.cross_entropy(MODEL(X), labels))
    torch.manual_seed(0)
    assert worst.item() <= Adversarial(5)(DUAL, X, labels, BALL) + 0.05 <= loss + 0.05
    assert loss <= IntervalBound()(DUAL, X, labels, BALL) + 1e-9
    assert Robust(criterion="hinge")(DUAL, X, labels, BALL) >= Clean(criterion="hinge")(DUAL, X, labels, BALL)


def test_gradients_do_not_depend_on_how_much_memory_there_is():
    gradients = []
    for options in ({}, {"windows": False}, {"memory_budget": 1 << 19}):
        loss = autodual.robust_loss(with_options(**options), X, PREDICTED, BALL)
        gradients.append(torch.autograd.grad(loss, list(MODEL.parameters())))
    for first, *others in zip(*gradients, strict=True):
        assert first.abs().sum() > 0
        for other in others:
            torch.testing.assert_close(first, other)


def test_a_pixel_of_the_deployed_network_needs_a_margin_beyond_its_own_rounding():
    single = Tiny().eval()
    single.load_state_dict(MODEL.state_dict())
    x = X.float()
    dual = autodual.compile_dual(single, x)
    plain, deployed = (autodual.certify(dual, x, BALL, deployed=way) for way in (False, True))
    for before, after in zip(plain, deployed, strict=True):
        assert torch.equal(before.positions.margins, after.positions.margins)
        assert not (after.positions.certified & ~before.positions.certified).any()
        assert after.certified == bool(after.positions.certified.all())
        least = float(after.positions.margins[after.positions.certified].min())
        assert 0 < after.execution_error < 1e-2 and least > 0
    rows = dual.label_rows(x, PREDICTED)
    sizes = torch.rand(3, 72)
    torch.testing.assert_close(rows.spread(sizes), (rows.whole.abs() * sizes.unsqueeze(1)).sum(-1))
    lost = sizes.index_fill(1, torch.tensor([0]), torch.inf)
    assert torch.equal(rows.spread(lost).isinf(), rows.whole[..., 0] != 0)


def test_estimated_bounds_do_not_depend_on_how_rows_are_made():
    passes = [*default_pipeline(), HighProbability(0.01, 3, where="last")]
    ball, rows = autodual.LinfBall(1e-5), DUAL.label_rows(X, PREDICTED)
    whole = autodual.compile_dual(MODEL, X, passes=passes)(X, ball, rows.piece(None, 0, rows.count), rigorous=True)
    with torch.no_grad():
        found = with_options(passes=passes, at_once=1, memory_budget=1 << 17)(X, ball, rows, rigorous=True)
    assert (found.failure_probability > 0).all()
    torch.testing.assert_close(found.lower, whole.lower)


def test_memory_stays_within_the_budget(monkeypatch):
    """All rows of this network at once would take 57 MB."""
    from autodual.bounds.engine import last_bound

    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 3, 3, padding=1)).eval()
    x, largest = torch.rand(1, 1, 40, 40), []
    original = last_bound.pieces_of

    def watched(state, name, objective):
        pieces = original(state, name, objective)
        for piece in pieces:
            largest.append(piece.rows.base.nbytes)
        return pieces

    monkeypatch.setattr(last_bound, "pieces_of", watched)
    budget = 8 << 20
    for options in ({}, {"windows": False}):
        dual = with_options(model, x, memory_budget=budget, **options)
        rows = dual.label_rows(x, torch.zeros(1, 40, 40, dtype=torch.long))
        with torch.no_grad():
            assert dual(x, autodual.LinfBall(0.001), rows, last="interval").lower.shape == (1, 3200)
    assert max(largest) < budget / 2


# --- other layouts of outputs ----------------------------------------------------------------------------------------


class Steps(nn.Module):
    """Four classes at each of 5 × 2 steps, on an axis of the outputs."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.inner, self.last, self.axis = nn.Linear(3, 6), nn.Linear(6, 4), axis

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.inner(x).relu()).movedim(-1, self.axis)


def test_the_classes_may_lie_on_any_axis():
    torch.manual_seed(2)
    x, ball = torch.rand(2, 5, 2, 3), autodual.LinfBall(0.03)
    expected = None
    for axis in (-1, 1, 2):
        model = Steps(axis)
        dual = autodual.compile_dual(model, x, class_axis=axis)
        labels = model(x).argmax(axis)
        margins = dual.margins(x, labels, ball)
        assert margins.shape == model(x).shape
        found = (
            margins.movedim(axis, 1),
            autodual.robust_loss(dual, x, labels, ball),
            torch.stack([one.positions.certified for one in autodual.certify(dual, x, ball, labels)]),
            Clean()(dual, x, labels, ball),
        )
        expected = found if expected is None else expected
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    assert expected[2].any()


@pytest.mark.parametrize(
    ("class_axis", "message"),
    [
        (0, "class_axis is 0, but the outputs have 4 axes"),
        (4, "class_axis is 4"),
        (-4, "class_axis is -4"),
        ("C", "class_axis must be a whole number, but is 'C'"),
        (True, "class_axis must be a whole number"),
        (2, r"labels have the shape \[3, 4, 6\], but outputs \[3, 3, 4, 6\] .* on axis 2 need \[3, 3, 6\]"),
    ],
)  # fmt: skip
def test_another_axis_is_refused(class_axis, message):
    with pytest.raises(InvalidInputError, match=message):
        ClassMargin(PREDICTED, class_axis).rows(MODEL(X))
    dual = autodual.DualNetwork(MODEL, lambda model, x: DUAL.compiled(x), class_axis)
    with pytest.raises(InvalidInputError, match=message):
        autodual.certify(dual, X, BALL, PREDICTED)


@pytest.mark.parametrize("labels", [PREDICTED[:, 0, 0], PREDICTED[:, 0], PREDICTED.flatten(1), PREDICTED[..., None]])
def test_labels_of_another_shape_are_refused(labels):
    for call in (
        lambda: autodual.certify(DUAL, X, BALL, labels),
        lambda: DUAL.margins(X, labels, BALL),
        lambda: autodual.robust_loss(DUAL, X, labels, BALL),
        lambda: Clean()(DUAL, X, labels, BALL),
    ):
        with pytest.raises(InvalidInputError, match=r"need \[3, 4, 6\]"):
            call()
    with pytest.raises(InvalidInputError, match=r"label of sample 1 at position \[2, 3\] is 3, but .* classes 0 to 2"):
        wrong = PREDICTED.clone()
        wrong[1, 2, 3] = 3
        autodual.certify(DUAL, X, BALL, wrong)


def test_a_cascade_refuses_label_maps():
    with pytest.raises(InvalidInputError, match=r"stage 1 has outputs of the shape \[N, 3, 4, 6\]"):
        autodual.certify_cascade(autodual.Cascade([DUAL]), X, autodual.LinfBall(0.1))


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 2, 2), (2, 3)])
def test_regressors_of_any_shape(shape):
    torch.manual_seed(3)
    size = torch.Size(shape).numel()
    layers = nn.Sequential(nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, size)).double()
    model = nn.Sequential(layers, nn.Flatten(0) if shape == () else nn.Unflatten(1, shape))
    x, ball = torch.rand(4, 2, dtype=torch.float64), autodual.LinfBall(0.1)
    dual = autodual.compile_dual(model, x)
    assert dual.outputs(x).shape == (4, *shape) and dual.output_shape(x) == shape
    flat = torch.randn(3, size, dtype=torch.float64)
    lower = dual.lower_bounds(x, ball, flat)
    points = model(ball.at(x).sample(500).flatten(0, 1)).reshape(500, 4, size)
    assert (points @ flat.T >= lower - 1e-9).all()
    for objective in (flat.reshape(3, *shape), flat.expand(4, 3, size), flat.reshape(3, *shape).expand(4, 3, *shape)):
        torch.testing.assert_close(dual.lower_bounds(x, ball, objective), lower)
    names = [f"y{place}" for place in range(size)]
    goal = Formula(" and ".join(f"{name} < 100" for name in names))
    assert all(one.certified and one.positions is None for one in autodual.certify(dual, x, ball, spec=goal))
    assert autodual.certified_radius(dual, x, autodual.LinfBall, spec=goal, max_steps=2).tolist() == [1.0] * 4
    if size == 1 or shape[0] == 1:
        for call in (
            lambda: autodual.certify(dual, x, ball),
            lambda: autodual.detect(dual, x, ball),
            lambda: autodual.certified_radius(dual, x, autodual.LinfBall),
            lambda: autodual.certify(dual, x, ball, torch.zeros(4, *shape[1:], dtype=torch.long)),
            lambda: autodual.robust_loss(dual, x, torch.zeros(4, *shape[1:], dtype=torch.long), ball),
        ):
            with pytest.raises(InvalidInputError, match=r"single output .* give a specification .* \(spec=\)"):
                call()
