"""Sets as users make them: parameters, validation, descriptions and settings."""

from __future__ import annotations

import json
import math

import numpy
import pytest
import torch

from autodual.errors import EmptySetError, InvalidInputError
from autodual.perturbations import Box, L1Ball, L2Ball, LinfBall, LpBall, ProductSet

X = torch.full((3, 2, 2), 0.5)
BALLS = [LinfBall, L2Ball, L1Ball, lambda *rest: LpBall(3, *rest)]


@pytest.mark.parametrize("make", BALLS)
@pytest.mark.parametrize("radius", [-0.1, math.inf, torch.tensor([0.1, -1.0, 0.1]), 1e300])
def test_radius_must_be_finite_and_not_negative(make, radius):
    with pytest.raises(InvalidInputError, match="the radius must be finite and not negative, but is"):
        make(radius).at(X)  # 1e300 is refused only here, where it must fit float32


@pytest.mark.parametrize("make", BALLS)
def test_radius_must_be_a_number(make):
    with pytest.raises(InvalidInputError, match="radius holds NaN"):
        make(math.nan)
    with pytest.raises(InvalidInputError, match="radius must be a number, but is the text '8/255'; write numbers with"):
        make("8/255")
    with pytest.raises(InvalidInputError, match="radius is complex"):
        make(torch.tensor(1j))


@pytest.mark.parametrize("make", BALLS)
@pytest.mark.parametrize("shape", [(2,), (4,), (3, 2, 3), (1, 3, 2, 2), (3, 2)])
def test_radius_must_fit_the_samples(make, shape):
    with pytest.raises(InvalidInputError, match="does not broadcast to the samples'"):
        make(torch.ones(shape)).at(X)


@pytest.mark.parametrize("make", BALLS[1:])
def test_only_linf_balls_take_a_radius_per_feature(make):
    with pytest.raises(InvalidInputError, match="only l∞ balls take a radius per feature"):
        make(torch.ones(2, 2)).at(X)


@pytest.mark.parametrize("make", BALLS)
def test_equal_radii_however_given(make):
    alike = [
        0.25,
        torch.tensor(0.25),
        torch.full((3,), 0.25),
        [0.25] * 3,
        numpy.full(3, 0.25),
        torch.full((3, 1, 1), 0.25),
    ]
    found = [make(radius).at(X).enclosure().upper for radius in alike]
    for other in found[1:]:
        assert torch.equal(other, found[0])


def test_a_vector_of_radii_is_per_sample_even_if_it_fits_the_features():
    x = torch.zeros(2, 2)
    assert LinfBall(torch.tensor([1.0, 2.0])).at(x).enclosure().upper.tolist() == [[1, 1], [2, 2]]
    assert LinfBall(torch.tensor([[1.0, 2.0]])).at(x).enclosure().upper.tolist() == [[1, 2], [1, 2]]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.tensor([[1.0], [math.nan]]), "sample 1 holds NaN or infinity"),
        (torch.tensor([[1.0], [1.0], [-math.inf]]), "sample 2 holds NaN or infinity"),
        (
            torch.tensor([[1]]),
            r"floating-point numbers, but has the dtype torch.int64; convert it, as with x.float\(\)",
        ),
        (torch.tensor(1.0), "but is a single number"),
        ([[1.0]], "must be a tensor or a NumPy array of samples .*, not a list"),
        (torch.tensor([[1]], dtype=torch.uint8), r"bytes \(uint8\).* x.float\(\) / 255"),
        (torch.zeros(0, 2), r"x holds no samples \(its shape is \[0, 2\]\)"),
        (torch.zeros(2, 0), "samples without any numbers"),
    ],
)
def test_samples_are_checked(x, message):
    for perturbation in (LinfBall(0.1), Box(0, 1)):
        with pytest.raises(InvalidInputError, match=message):
            perturbation.at(x)


@pytest.mark.parametrize("make", BALLS)
def test_a_sample_far_from_the_domain_has_an_empty_set(make):
    x = X.clone()
    x[1, 0, 0] = 1.3
    with pytest.raises(
        EmptySetError, match=r"set of sample 1 is empty \(l.* ball of radius 0.2, clipped to \[0, 1\]\)"
    ):
        make(0.2, (0, 1)).at(x)
    make(0.4, (0, 1)).at(x)


def test_balls_know_the_distance_to_a_corner_of_the_domain():
    x = torch.full((1, 2), 1.1)
    LinfBall(0.12, (0, 1)).at(x)
    L2Ball(0.15, (0, 1)).at(x)
    for ball in (L2Ball(0.13, (0, 1)), L1Ball(0.15, (0, 1))):
        with pytest.raises(EmptySetError, match="sample 0"):
            ball.at(x)


@pytest.mark.parametrize("make", BALLS)
def test_a_domain_with_crossed_ends_is_empty(make):
    with pytest.raises(EmptySetError, match="the domain is empty: its lower end 1 lies above its upper end 0"):
        make(10.0, (1, 0))


def test_box_with_crossed_ends_is_empty():
    lower = torch.zeros(3, 2, 2)
    lower[2, 1, 1] = 2
    with pytest.raises(EmptySetError, match=r"the box is empty: its lower end 2 lies above .* 1 at \[2, 1, 1\]"):
        Box(lower, 1.0)


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        (0.5, "domain must be a pair"),
        ((0, 1, 2), "domain must be a pair"),
        ((0, math.nan), "the domain's upper end holds NaN"),
        ((torch.zeros(3), 1), "the domain's lower end has the shape"),
        ((torch.zeros(3, 1, 1), 1), "the same for all samples"),
    ],
)
def test_domain_is_checked(domain, message):
    for make in (LinfBall, L2Ball, lambda _, domain: Box(0, 1, domain)):
        with pytest.raises(InvalidInputError, match=message):
            make(0.1, domain).at(X)


def test_domain_per_channel():
    upper = torch.tensor([[0.55], [0.7]])
    for make in BALLS:
        ends = make(0.1, (-math.inf, upper)).at(X).enclosure()
        torch.testing.assert_close(ends.upper[0], torch.tensor([[0.55, 0.55], [0.6, 0.6]]))
        torch.testing.assert_close(ends.lower[0], torch.full((2, 2), 0.4))


def test_box_is_checked():
    with pytest.raises(InvalidInputError, match=r"lower has the shape \[1, 3, 2\], which does not broadcast"):
        Box(torch.zeros(3, 2), 1).at(X)
    with pytest.raises(InvalidInputError, match="the box must be bounded"):
        Box(-math.inf, 1).at(X)
    Box(-math.inf, 1, (0, 1)).at(X)


def test_box_need_not_hold_its_nominal_sample():
    region = Box(2, numpy.full((2, 2), 3.0)).at(X)
    assert not region.contains(X).any()
    assert region.contains(region.project(X)).all()


@pytest.mark.parametrize("p", [0.5, -1, math.nan, True, "2", None])
def test_order_must_be_a_norm(p):
    with pytest.raises(InvalidInputError, match="must be a number of at least 1"):
        LpBall(p, 0.1)


@pytest.mark.parametrize(
    ("perturbation", "words"),
    [
        (LinfBall(0.1), "l∞ ball of radius 0.1, unclipped"),
        (LinfBall(0.1, (0, 1)), "l∞ ball of radius 0.1, clipped to [0, 1]"),
        (L2Ball(torch.tensor([0.25, 0.5])), "l2 ball of radius 0.25 to 0.5, unclipped"),
        (L1Ball(1, (torch.tensor([-1.0, -2.0]), 2)), "l1 ball of radius 1, clipped to [-2 to -1, 2]"),
        (LpBall(1.5, 1), "l1.5 ball of radius 1, unclipped"),
        (LpBall(math.inf, 1), "l∞ ball of radius 1, unclipped"),
        (Box(0, torch.tensor([1.0, 3.0])), "box with lower ends 0 and upper ends 1 to 3, unclipped"),
    ],
)
def test_sets_describe_themselves(perturbation, words):
    assert perturbation.describe() == words


def test_settings_are_plain():
    settings = LinfBall(torch.tensor([0.25, 0.5]), (0, torch.tensor([1.0, 2.0]))).settings()
    assert json.loads(json.dumps(settings)) == {
        "set": "LinfBall",
        "p": "inf",
        "radius": {"min": 0.25, "max": 0.5},
        "domain": [0, {"min": 1, "max": 2}],
    }
    assert json.loads(json.dumps(LpBall(3, 1).settings()))["p"] == 3
    assert json.loads(json.dumps(Box(0, 1).settings())) == {"set": "Box", "lower": 0, "upper": 1, "domain": None}


@pytest.mark.parametrize("make", BALLS)
def test_gradients_reach_every_radius_given(make):
    for radius in (torch.tensor(0.1), torch.full((3,), 0.1)):
        radius.requires_grad_()
        make(radius, (0.0, 0.9)).at(X).enclosure().upper.sum().backward()
        assert (radius.grad > 0).all()


@pytest.mark.parametrize("make", BALLS)
def test_balls_of_one_radius_are_symmetric(make):
    for radius in (0.25, torch.full((3,), 0.25), [0.25] * 3, torch.full((1, 1, 1), 0.25)):
        assert make(radius).symmetric(X) and make(radius, (0.0, 1.0)).symmetric(X)
    assert not make(torch.tensor([0.25, 0.25, 0.5])).symmetric(X)
    assert not make(torch.tensor([0.25, 0.25, 0.5]).reshape(3, 1, 1)).symmetric(X)


def test_radii_per_feature_are_symmetric_and_boxes_are_not():
    assert LinfBall(torch.tensor([[0.1, 0.2], [0.3, 0.4]])).symmetric(X)
    assert not LinfBall(torch.rand(3, 2, 2)).symmetric(X)
    assert not Box(0.0, 1.0).symmetric(X)


def test_a_product_is_symmetric_if_its_sets_are():
    x, shapes = torch.rand(3, 5), ((2,), (3,))
    assert ProductSet((LinfBall(0.1), None), shapes).symmetric(x)
    assert ProductSet((LinfBall(torch.full((3,), 0.1)), L2Ball(0.1)), shapes).symmetric(x)
    assert not ProductSet((LinfBall(0.1), Box(0.0, 1.0)), shapes).symmetric(x)
    assert not ProductSet((LinfBall(torch.tensor([0.1, 0.2, 0.1])), None), shapes).symmetric(x)
    with pytest.raises(InvalidInputError, match="needs samples of the shape"):
        ProductSet((LinfBall(0.1), None), shapes).symmetric(x[:, :4])
