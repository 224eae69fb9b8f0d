"""Registered sets: names, parameters, and reading of older spellings."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import dataclass

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from autodual.errors import DataError, InvalidInputError
from autodual.number_ranges import Range
from autodual.perturbations import (
    Box,
    LinfBall,
    SetParameter,
    choose_set,
    named_set,
    registered_sets,
)
from autodual.perturbations.registry import registered_sets as registry
from autodual.train.recipe import SetSection, assemble, disassemble

X = torch.rand(2, 3)


@pytest.fixture(autouse=True)
def only_here():
    before = dict(registry._SETS)
    yield
    registry._SETS.clear()
    registry._SETS.update(before)


@pytest.mark.parametrize(
    ("spelled", "name", "kind"),
    [
        ("linf", "linf", "LinfBall"),
        ("inf", "linf", "LinfBall"),
        (math.inf, "linf", "LinfBall"),
        ("LINF", "linf", "LinfBall"),
        ("l2", "l2", "L2Ball"),
        (2.0, "l2", "L2Ball"),
        ("2", "l2", "L2Ball"),
        ("l1", "l1", "L1Ball"),
        ("l3", "l3", "LpBall"),
        (1.5, "l1.5", "LpBall"),
        ("1.25e1", "l12.5", "LpBall"),
    ],
)
def test_norms_may_be_spelled_in_several_ways(spelled, name, kind):
    chosen = choose_set(spelled)
    made = chosen.make(0.5, (0, 1))
    assert chosen.name == name and type(made).__name__ == kind
    assert choose_set(chosen.name, chosen.options) == chosen


@given(st.floats(1, 1e12))
def test_an_order_is_kept_with_all_its_digits(p):
    chosen = choose_set(p)
    assert choose_set(chosen.name).make(0.1).order == p


@pytest.mark.parametrize("name", ["", "l", "l0", "0.99", "nan", "-inf", "lp", "l2ball", "norm", True, "l" * 10_000])
def test_unknown_names_are_refused(name):
    with pytest.raises(InvalidInputError, match="is no norm, nor any other set that is registered") as error:
        choose_set(name)
    assert len(str(error.value)) < 300


@dataclass(frozen=True, eq=False)
class Blurred(LinfBall):
    """A set with parameters of every type."""

    width: int = 3
    weights: tuple[float, ...] = (1.0,)
    edge: str = "zero"
    wrap: bool = False


def blurred(**options):
    parameters = (
        SetParameter("width", int, "Pixels.", default=3, range=Range(1, 9)),
        SetParameter("weights", float, "One a channel.", default=(1.0,), many=True, range=Range(0, 1)),
        SetParameter("edge", str, "What is beside it.", default="zero", choices=("zero", "mirror")),
        SetParameter("wrap", bool, "Around.", default=False),
    )
    return named_set("blurred", "blurred ball", parameters=parameters, **options)(Blurred)


def test_parameters_are_read_from_text_and_from_plain_values():
    blurred()
    text = choose_set("blurred", {"width": "5", "weights": "1/2, 0.25", "edge": "mirror", "wrap": "true"})
    plain = choose_set("blurred", {"width": 5, "weights": [0.5, 0.25], "edge": "mirror", "wrap": True})
    assert text == plain
    made = text.make(0.1)
    assert (made.width, made.weights, made.edge, made.wrap) == (5, (0.5, 0.25), "mirror", True)
    assert dict(choose_set("blurred").options) == {"width": 3, "weights": (1.0,), "edge": "zero", "wrap": False}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "'width' must be at least 1 and at most 9, not 0"),
        ({"width": 2.5}, "'width' must be a whole number, not 2.5"),
        ({"width": True}, "'width' must be a whole number, not True"),
        ({"width": "1e400"}, "'width' must be a whole number"),
        ({"weights": 1.0}, "'weights' must be a list, not 1.0"),
        ({"weights": []}, "'weights' must be a list"),
        ({"weights": [0.5, math.nan]}, "'weights' must be at least 0 and at most 1, not nan"),
        ({"weights": "1/0"}, "'weights' must be a number, not '1/0'"),
        ({"edge": "none"}, "'edge' must be one of zero, mirror, not 'none'"),
        ({"wrap": 1}, "'wrap' must be true or false, not 1"),
        ({"wrap": None}, "'wrap' must be true or false, not None"),
        ({"height": 1}, "the set 'blurred' has no parameter 'height'; there are width, weights, edge, wrap"),
    ],
)
def test_parameters_are_checked(options, message):
    blurred()
    with pytest.raises(InvalidInputError, match=message):
        choose_set("blurred", options)
    with pytest.raises(InvalidInputError, match=message):
        assemble(SetSection, {"norm": "blurred", **options})


def test_a_set_without_a_domain_refuses_one():
    blurred()
    with pytest.raises(InvalidInputError, match="the set 'blurred' takes no domain"):
        choose_set("blurred").make(0.1, (0, 1))
    with pytest.raises(InvalidInputError, match=r"takes no domain; leave set.domain out"):
        SetSection(norm="blurred", domain=(0.0, 1.0))


def test_a_parameter_without_a_default_must_be_given():
    parameter = SetParameter("width", int, "Pixels.")
    named_set("blurred", "blurred ball", parameters=(parameter,))(Blurred)
    with pytest.raises(InvalidInputError, match="the set 'blurred' needs its parameter 'width': Pixels"):
        choose_set("blurred")


def test_recipes_hold_a_set_with_its_parameters_beside_its_radius():
    blurred()
    section = assemble(SetSection, {"eps": 0.2, "norm": "blurred", "weights": [0.5], "width": 5})
    assert section.ball(0.3).weights == (0.5,) and section.ball(0.3).radius == 0.3
    plain = disassemble(section)
    assert plain == {
        "eps": 0.2, "norm": "blurred", "domain": [], "width": 5, "weights": [0.5], "edge": "zero", "wrap": False,
    }  # fmt: skip
    assert assemble(SetSection, plain) == section


@pytest.mark.parametrize(("then", "now"), [("inf", "linf"), (math.inf, "linf"), (2.0, "l2"), (2, "l2"), (1.5, "l1.5")])
def test_older_recipes_checkpoints_and_network_files_are_read(then, now):
    """Older files hold the order of a norm instead of a name."""
    section = assemble(SetSection, {"eps": 0.1, "norm": then, "domain": [0.0, 1.0]})
    assert section.norm == now and section.ball(0.1).at(X).count == 2
    assert assemble(SetSection, disassemble(section)) == section
    assert SetSection(eps=0.1, norm=str(then), domain=(0.0, 1.0)) == section


def test_registration_is_checked():
    for name in ("Blurred", "", "2d", "a b"):
        with pytest.raises(ValueError, match="small letters, digits and dashes"):
            named_set(name, "ball")(Blurred)
    for name in ("linf", "inf", "l1"):
        with pytest.raises(ValueError, match="is already that of the set"):
            named_set(name.replace("l1", "l1"), "ball")(Blurred)
    with pytest.raises(ValueError, match="has no field 'size', which its registration speaks of"):
        named_set("blurred", "ball", radius="size")(Blurred)
    with pytest.raises(ValueError, match="cannot be called 'eps'"):
        named_set("blurred", "ball", parameters=(SetParameter("eps", float, "Size."),))(Blurred)
    with pytest.raises(ValueError, match="must be a dataclass"):
        named_set("blurred", "ball")(type("Plain", (), {}))
    with pytest.raises(InvalidInputError, match="'width' must be at least 9"):
        named_set("blurred", "ball", parameters=(SetParameter("width", int, "", default=3, range=Range(9)),))(Blurred)
    assert "blurred" not in [entry.name for entry in registered_sets()]


def test_the_same_definition_may_run_twice_and_another_may_replace_it_if_asked():
    blurred()
    blurred()
    with pytest.raises(ValueError, match="is already that of the set 'blurred'"):
        named_set("blurred", "another")(LinfBall)
    named_set("blurred", "another", replace=True)(LinfBall)
    assert isinstance(choose_set("blurred").make(0.1), LinfBall)


def test_names_are_listed_without_torch():
    script = "import sys\nfrom autodual.perturbations import registered_sets\nregistered_sets()\n"
    done = subprocess.run([sys.executable, "-c", f"{script}sys.exit('torch' in sys.modules)"], check=False)
    assert done.returncode == 0


def test_a_set_may_have_no_radius():
    """Its size is then given by its parameters."""

    @named_set("room", "room", radius=None, domain=None, parameters=(SetParameter("height", float, "How high."),))
    @dataclass(frozen=True, eq=False)
    class Room(Box):
        lower: float = 0.0
        upper: float = 1.0
        height: float = 1.0

        def __post_init__(self):
            object.__setattr__(self, "upper", self.height)

    made = choose_set("room", {"height": "3"}).make()
    assert made.at(X).enclosure().upper.eq(3.0).all()
    with pytest.raises(InvalidInputError, match="'room' has no radius"):
        choose_set("room", {"height": 3.0}).make(0.5)
    with pytest.raises(InvalidInputError, match="no radius, and training needs one"):
        SetSection(norm="room", options={"height": 3.0})


def test_boxes_from_files_belong_to_their_samples(tmp_path):
    x = torch.rand(5, 2, 3)
    paths = [str(tmp_path / name) for name in ("l.npy", "u.npy")]
    for path, end in zip(paths, (x - 0.1, x[0] + 1.0)):  # lower ends per sample, one upper end for all
        numpy.save(path, end.numpy())
    chosen = choose_set("box", {"box": ",".join(paths)})
    boxes = chosen.make().for_data((2, 3), 5)
    some = torch.tensor([3, 1])
    found = boxes.of_samples(some).at(x[some]).enclosure()
    assert torch.equal(found.lower, x[some] - 0.1) and torch.equal(found.upper, (x[0] + 1.0).expand(2, 2, 3))
    assert boxes.describe().startswith("one box a sample, from ")
    with pytest.raises(DataError, match=r"expected \(2, 3\), or \(4, 2, 3\)"):
        chosen.make().for_data((2, 3), 4)
    with pytest.raises(InvalidInputError, match="takes no domain"):
        chosen.make(domain=(0, 1))
    with pytest.raises(InvalidInputError, match="must name two files"):
        choose_set("box", {"box": paths[:1]}).make()
