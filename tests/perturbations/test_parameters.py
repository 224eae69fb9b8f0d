"""Every parameter of every set is checked when the set is made, whatever the type of the value."""

from __future__ import annotations

import math

import numpy
import pytest
import torch

from autodual.errors import EmptySetError, InvalidInputError
from autodual.perturbations import Box, L1Ball, L2Ball, LinfBall, LpBall, ProductSet

BALLS = [LinfBall, L2Ball, L1Ball, lambda *rest: LpBall(3, *rest)]
# Each function makes a set with the given number as one of its parameters.
PLACES = {
    **{f"radius of ball {number}": make for number, make in enumerate(BALLS)},
    "lower": lambda value: Box(value, 10),
    "upper": lambda value: Box(-10, value),
    "domain's lower": lambda value: LinfBall(0.1, (value, 10)),
    "domain's upper": lambda value: L2Ball(1, (-10, value)),
    "box's domain": lambda value: Box(0, 1, (value, 10)),
}
NO_NUMBERS = ["8/255", "", True, numpy.bool_(True), None, [], [[0.1], [0.1, 0.2]], ["0.1"], {}, object, 1j, math.nan]
NO_NUMBERS += [[0.1, math.nan], numpy.array([0.1, numpy.nan]), torch.tensor(True), torch.zeros(0), numpy.array(["a"])]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_values_that_are_not_numbers_are_refused_at_once(place, value):
    with pytest.raises(InvalidInputError) as caught:
        PLACES[place](value)
    assert "\n" not in str(caught.value)
    assert any(word in str(caught.value) for word in ("radius", "end"))


@pytest.mark.parametrize("place", PLACES)
def test_numbers_may_be_given_as_arrays_tensors_or_sequences(place):
    x = torch.full((2, 3), 0.5)
    expected = PLACES[place](0.25).at(x).enclosure()
    kinds = [numpy.float64(0.25), numpy.float32(0.25), numpy.array(0.25), torch.tensor(0.25), [[0.25]], ((0.25,),)]
    for value in [*kinds, numpy.full((1, 1), 0.25, ">f8"), numpy.full((1, 1), 0.25)[::-1]]:
        found = PLACES[place](value).at(x).enclosure()
        assert torch.equal(found.lower, expected.lower)
        assert torch.equal(found.upper, expected.upper)


@pytest.mark.parametrize("radius", [-0.1, -math.inf, math.inf, [0.1, -1e-30], torch.tensor([0.1, torch.inf])], ids=repr)
@pytest.mark.parametrize("make", BALLS)
def test_radii_are_finite_and_not_negative(make, radius):
    with pytest.raises(InvalidInputError, match="the radius must be finite and not negative, but is"):
        make(radius)


@pytest.mark.parametrize("domain", [(1, 0), [1, 0], numpy.array([1.0, 0.0]), (torch.ones(3), numpy.array([1, 0, 2]))])
def test_crossed_domains_are_empty(domain):
    for make in (*(lambda domain, ball=ball: ball(0.1, domain) for ball in BALLS), lambda domain: Box(0, 1, domain)):
        with pytest.raises(EmptySetError, match="the domain is empty: its lower end 1 lies above its upper end 0"):
            make(domain)


@pytest.mark.parametrize("domain", [0.5, "01", {0: 1}, (0,), (0, 1, 2), numpy.array(1.0), torch.zeros(3)], ids=repr)
def test_domains_are_pairs(domain):
    for make in (lambda domain: L1Ball(0.1, domain), lambda domain: Box(0, 1, domain)):
        with pytest.raises(InvalidInputError, match=r"domain must be a pair \(lower, upper\)|is the text '0'"):
            make(domain)


def test_ends_that_cannot_meet_are_refused():
    with pytest.raises(InvalidInputError, match=r"the box's ends have the shapes \[3\] and \[4\]"):
        Box(torch.zeros(3), torch.ones(4))


@pytest.mark.parametrize(
    ("sets", "shapes", "message"),
    [
        (
            (LinfBall(0.1), 0.1),
            ((1,), (1,)),
            "made of perturbation sets, or None for .*, not of 0.1",
        ),
        ((LinfBall(0.1),), ((1,), (1,)), "has 1 for 2 shapes"),
        ((None,), (3,), "must be tuples of whole numbers"),
        ((None,), ((1.5,),), "must be tuples of whole numbers"),
    ],
)
def test_products_are_checked(sets, shapes, message):
    with pytest.raises(InvalidInputError, match=message):
        ProductSet(sets, shapes)


def test_selecting_and_scaling_keep_what_was_given():
    x = torch.rand(3, 2, dtype=torch.float64)
    ball = LinfBall([0.1, 0.2, 0.3], domain=[0, 1]).scaled(0.5)
    part = ball.at(x).select(torch.tensor([2]))
    assert part.source.radius.flatten().tolist() == [0.15]
    assert part.source.domain == (0, 1)
