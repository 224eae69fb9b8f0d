"""Recipes: reading and writing, one clear sentence for each mistake, and values of schedules over time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autodual.errors import InvalidInputError
from autodual.train.losses import Clean, CrownIbp, IntervalBound, Regularised
from autodual.train.recipe import Recipe, assemble, disassemble, overridden, read_recipe, read_value
from autodual.train.schedules import Constant, Linear

EXAMPLES = Path(__file__).parents[2] / "examples" / "recipes"

TOML = """
epochs = 7
learning_rate = 5e-4
radius = { kind = "linear", start = 0.0, end = 1.0, finish = 4 }
[loss]
kind = "crown-ibp"
kappa = 0.5
[scheduled]
beta = { kind = "linear", start = 1.0, end = 0.0, finish = 4 }
[set]
norm = "inf"
domain = [0, 1]
"""


def test_toml_yaml_and_plain_values_make_the_same_recipe(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(TOML)
    values = read_recipe(tmp_path / "recipe.toml")
    (tmp_path / "recipe.yaml").write_text(json.dumps(values))  # JSON is YAML
    recipe = assemble(Recipe, values)
    assert recipe == assemble(Recipe, read_recipe(tmp_path / "recipe.yaml"))
    assert recipe.learning_rate == Constant(5e-4) and recipe.set.domain == (0.0, 1.0)
    assert recipe.radius == Linear(0.0, 1.0, 0.0, 4.0) and recipe.loss == CrownIbp(kappa=0.5)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*")), ids=lambda path: path.name)
def test_shipped_recipes_are_valid(path: Path) -> None:
    recipe = assemble(Recipe, read_recipe(path))
    assert recipe.radius(recipe.epochs) >= 1
    assert assemble(Recipe, json.loads(json.dumps(disassemble(recipe)))) == recipe


def test_a_recipe_survives_json() -> None:
    loss = {"kind": "regularised", "loss": "interval"}
    recipe = assemble(Recipe, {"loss": loss, "scheduled": {"weight": 0.1, "loss.kappa": 0.2}})
    assert assemble(Recipe, json.loads(json.dumps(disassemble(recipe)))) == recipe


def test_scheduled_fields_are_set_at_any_depth_and_the_loss_is_clean_at_radius_zero() -> None:
    ramp = {"kind": "linear", "start": 1.0, "end": 0.0, "begin": 1, "finish": 3}
    values = {
        "loss": {"kind": "regularised", "loss": {"kind": "interval", "criterion": "hinge"}},
        "scheduled": {"weight": ramp, "loss.kappa": ramp},
        "radius": {"kind": "linear", "start": 0, "end": 1, "begin": 1, "finish": 3},
    }
    recipe = assemble(Recipe, values)
    assert recipe.loss_at(0.5) == Clean("hinge")
    assert recipe.loss_at(2.0) == Regularised(IntervalBound(0.5, "hinge"), weight=0.5)
    assert recipe.loss_at(9.0) == Regularised(IntervalBound(0.0, "hinge"), weight=0.0)
    assert recipe.ball_at(2.0).radius == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"los": 1}, "'los' is unknown"),
        ({"helpful_stages": True, "data": {"hold_out": 0}}, "'helpful_stages' looks at held-out samples"),
        ({"loss": "magic"}, "'loss.kind' must be one of"),
        ({"loss": {"kind": "interval", "kapa": 1}}, "'loss.kapa' is unknown"),
        ({"epochs": 1.5}, "'epochs' must be a whole number"),
        ({"epochs": True}, "'epochs' must be a whole number"),
        ({"epochs": 0}, "'epochs' must be at least 1"),
        ({"set": {"eps": float("nan")}}, "'set.eps' must be at least 0 and at most 1e.30, not nan"),
        ({"set": {"eps": -1}}, "'set.eps' must be at least 0"),
        ({"set": {"domain": [0]}}, "takes two rising numbers"),
        ({"set": 3}, "must be a table"),
        ({"optimiser": {"kind": "lion"}}, "must be one of"),
        ({"radius": {"kind": "linear", "start": 0}}, "'radius.end' is missing"),
        ({"radius": {"kind": "linear", "start": 0, "end": 1, "begin": 3, "finish": 1}}, "finish no earlier"),
        ({"scheduled": {"kapa": 1}}, "cannot be scheduled"),
        ({"scheduled": {"criterion": 1}}, "cannot be scheduled"),
        ({"data": {"mean": [0.1]}}, "go together"),
        ({"precision": "float8"}, "'precision' must be"),
        ({"precision": "float16"}, "'precision' float16 is for losses without bounds"),
    ],
)
def test_mistakes_are_named_with_their_place(values, words) -> None:
    with pytest.raises(InvalidInputError, match=words):
        assemble(Recipe, values)


def test_overriding_reaches_into_tables() -> None:
    values = overridden({"loss": "interval", "epochs": 3}, "loss.kappa", 0.25)
    assert values == {"loss": {"kind": "interval", "kappa": 0.25}, "epochs": 3}
    with pytest.raises(InvalidInputError, match="not a table"):
        overridden({"epochs": 3}, "epochs.more", 1)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("recipe.toml", "epochs = ", "not valid TOML"),
        ("recipe.yaml", "a: [", "not valid YAML"),
        ("recipe.yaml", "- 1", "no table"),
        ("recipe.json", "{}", "is no recipe"),
    ],
)
def test_files_that_are_no_recipes_are_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidInputError, match=words):
        read_recipe(tmp_path / name)
    with pytest.raises(InvalidInputError, match="there is no recipe"):
        read_recipe(tmp_path / "absent.toml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('["flip", { kind = "cutout", side = 14 }]', ["flip", {"kind": "cutout", "side": 14}]),
        ('{ kind = "steps", start = 0.1, at = [2] }', {"kind": "steps", "start": 0.1, "at": [2]}),
        ('{"kind": "pgd"}', {"kind": "pgd"}),
        ("true", True),
        ("28/255", "28/255"),
        ("[x].npz", "[x].npz"),
        ("[1]\nseed = 2", "[1]\nseed = 2"),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_values_are_read_as_recipes_write_them(text: str, value: object) -> None:
    assert read_value(text) == value
