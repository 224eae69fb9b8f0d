"""How numbers, norms, shapes and amounts of memory are written on the command line."""

from __future__ import annotations

import click
import pytest
from autodual_cli.options.quantities import Memory, Norm, Number, Numbers, Probability, Shape


@pytest.mark.parametrize(("text", "value"), [("0.1", 0.1), ("2/255", 2 / 255), ("1e-3", 1e-3), ("0", 0.0)])
def test_numbers_and_fractions(text, value):
    assert Number(minimum=0.0).convert(text, None, None) == value


@pytest.mark.parametrize("text", ["", "x", "1/0", "nan", "inf", "-0.1", "1/2/3", "1e999"])
def test_other_numbers_are_refused(text):
    with pytest.raises(click.BadParameter):
        Number(minimum=0.0).convert(text, None, None)


@pytest.mark.parametrize(("text", "value"), [("0.99", 0.99), ("99/100", 0.99), ("1e-9", 1e-9), (0.5, 0.5)])
def test_probabilities(text, value):
    assert Probability().convert(text, None, None) == value


@pytest.mark.parametrize("text", ["0", "1", "-0.1", "1.5", "99", "nan", "1e-17", "0.99999999999999999", "99 %"])
def test_certainty_and_impossibility_are_no_probabilities(text):
    with pytest.raises(click.BadParameter):
        Probability().convert(text, None, None)


def test_lists_of_numbers():
    assert Numbers().convert("0.5, 1/4", None, None) == (0.5, 0.25)
    with pytest.raises(click.BadParameter, match="holds 1 numbers, expected 2"):
        Numbers(count=2).convert("1", None, None)
    with pytest.raises(click.BadParameter, match="positive"):
        Numbers(positive=True).convert("1,0", None, None)


@pytest.mark.parametrize(
    ("text", "name"), [("linf", "linf"), ("L2", "l2"), ("2.0", "l2"), ("l1", "l1"), ("1.5", "l1.5"), ("inf", "linf")]
)
def test_norms_have_one_spelling(text, name):
    assert Norm().convert(text, None, None) == name


@pytest.mark.parametrize("text", ["l0", "0.5", "nan", "max", ""])
def test_other_norms_are_refused(text):
    with pytest.raises(click.BadParameter, match="is no norm"):
        Norm().convert(text, None, None)


def test_shapes():
    assert Shape().convert("1,28,28", None, None) == (1, 28, 28)
    for text in ("", "1,,2", "0", "-1", "a"):
        with pytest.raises(click.BadParameter, match="is no shape"):
            Shape().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "amount"), [("1GiB", 2**30), ("1.5 KiB", 1536), ("2MB", 2_000_000), ("100", 100), ("7b", 7)]
)
def test_amounts_of_memory(text, amount):
    assert Memory().convert(text, None, None) == amount


@pytest.mark.parametrize("text", ["", "GiB", "0", "-1GB", "1 XB"])
def test_other_amounts_are_refused(text):
    with pytest.raises(click.BadParameter, match="memory"):
        Memory().convert(text, None, None)
