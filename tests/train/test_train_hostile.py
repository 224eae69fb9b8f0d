"""Hostile recipes and checkpoints: each is refused in one short sentence, before any of it is used."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hostile_recipes import BAD_NUMBERS, hostile_checkpoints, hostile_recipes, may_be, number_fields
from support.tiny_training import VALUES, same, tiny_training

from autodual.errors import AutodualError, InvalidInputError
from autodual.train.losses import CrownIbp, IntervalBound, Loss, MtlIbp, Regularised, Robust
from autodual.train.recipe import OptimiserSection, Recipe, assemble, disassemble, read_recipe
from autodual.train.training import Training

# These are valid recipes; the code and the sizes that they ask for are checked later.
_LATER = {"date.yaml", "system.toml", "exit.toml", "code.toml"}


def refused(function: Any, *arguments: Any) -> str:
    """The message of the refusal, which must be one short line."""
    with pytest.raises(AutodualError) as caught:
        function(*arguments)
    message = str(caught.value)
    assert message and "\n" not in message and len(message) < 400
    return message


def test_no_number_of_a_recipe_may_be_out_of_its_range() -> None:
    places = list(number_fields())
    assert len(places) > 60
    for place, values in places:
        for bad in BAD_NUMBERS:
            if may_be(place, bad):
                assemble(Recipe, values(bad))
            else:
                head = place.partition(".")[0]
                assert head in refused(assemble, Recipe, values(bad)), (place, bad)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=6,
)


@settings(max_examples=40)
@given(st.sampled_from(sorted(disassemble(Recipe()))), plain)
def test_any_value_in_a_recipe_is_valid_or_refused(name: str, value: Any) -> None:
    try:
        recipe = assemble(Recipe, {name: value})
    except InvalidInputError as error:
        assert "\n" not in str(error) and len(str(error)) < 300
    else:
        assert assemble(Recipe, disassemble(recipe)) == recipe
        for epoch in (0.0, 0.5, 3.0, 2.0**20):
            assert recipe.radius(epoch) * recipe.set.eps >= 0 and recipe.learning_rate(epoch) >= 0
            recipe.loss_at(epoch)


@pytest.mark.parametrize(
    ("name", "write"), list(hostile_recipes()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_hostile_recipe_files_are_refused_in_a_line_and_soon(tmp_path: Path, name: str, write) -> None:
    write(tmp_path / name)
    start = time.process_time()
    if name in _LATER or name.startswith("arch-"):
        assert "\n" not in read_recipe(tmp_path / name)
        return
    refused(lambda: assemble(Recipe, read_recipe(tmp_path / name)))
    assert time.process_time() - start < 5


def test_losses_and_sections_made_in_python_are_checked_alike() -> None:
    for make in (
        lambda: IntervalBound(kappa=1.5),
        lambda: CrownIbp(beta=-0.1),
        lambda: MtlIbp(alpha=float("nan")),
        lambda: Robust(criterion="squared"),  # type: ignore[arg-type]
        lambda: Robust(kappa="much"),  # type: ignore[arg-type]
        lambda: Regularised(Robust(), tolerance=0.0),
        lambda: OptimiserSection(clip=-1.0),
        lambda: OptimiserSection(kind="lion"),  # type: ignore[arg-type]
    ):
        assert "must be" in refused(make)


def test_a_loss_of_the_users_own_needs_no_ranges() -> None:
    class Local:
        """A local type, so that the annotation `Local` cannot be resolved."""

    @dataclass(frozen=True)
    class Own(Loss):
        weight: float = -3.0
        more: Local | None = None

        def of(self, batch: Any) -> torch.Tensor:
            raise NotImplementedError

    assert Own().weight == -3.0


@pytest.mark.parametrize(
    ("text", "epochs"),
    [("epochs: 12", 12), ("epochs: +12 # a dozen", 12), ('{"epochs": 12}', 12), ("'epochs': 12", 12)],
)
def test_plain_yaml_is_read(tmp_path: Path, text: str, epochs: int) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"\ufeff{text}")  # with a byte-order mark, as editors write it
    assert assemble(Recipe, read_recipe(path)).epochs == epochs


def test_yaml_numbers_truths_and_aliases(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "learning_rate: 1e-3\nnetwork: {batch_norm: true}\nset: {eps: .5, norm: .inf, domain: [0, 1.]}\n"
        "radius: &ramp {kind: linear, start: 0, end: 1}\nscheduled: {kappa: *ramp}\ndata: {train: 2026-01-01.npz}\n"
    )
    recipe = assemble(Recipe, read_recipe(path))
    assert recipe.learning_rate(0) == 1e-3 and recipe.network.batch_norm and recipe.set.domain == (0.0, 1.0)
    assert recipe.scheduled["kappa"] == recipe.radius and recipe.data.train == "2026-01-01.npz"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Training, bytes]:
    """A run that was stopped in its second epoch, and its checkpoint."""
    values = {**VALUES, "network": {"arch": "mlp:4", "batch_norm": True}, "collapse": {"watch": "always"}}
    training = tiny_training(tmp_path_factory.mktemp("runs") / "run", **values)
    for _ in range(training.steps_an_epoch + 1):
        training.step(stop=True)
    return training, training.folder.checkpoint.read_bytes()


def test_checkpoints_that_do_not_fit_are_refused_before_any_part_is_used(run) -> None:
    training, content = run
    before = copy.deepcopy(training.network.state_dict())
    count = 0
    for name, write in hostile_checkpoints():
        training.folder.checkpoint.write_bytes(content)
        write(training.folder.checkpoint)
        message = refused(lambda: training._load(training.folder.load()))
        assert "checkpoint.pt" in message or "begun" in message, name
        assert same(training.network.state_dict(), before) and training.progress.step == training.steps_an_epoch + 1
        count += 1
    assert count > 150
    training.folder.checkpoint.write_bytes(content)
    training._load(training.folder.load())


def test_a_checkpoint_of_another_optimiser_is_refused(run, tmp_path: Path) -> None:
    values = {**VALUES, "network": {"arch": "mlp:4", "batch_norm": True}}
    for optimiser in ({"kind": "sgd", "momentum": 0.5}, {"kind": "sgd", "momentum": 0.0}, {"kind": "adamw"}):
        training = tiny_training(tmp_path / str(optimiser), **{**values, "optimiser": optimiser})
        training.step(stop=True)
        own = training.folder.load()
        training._load(copy.deepcopy(own))
        own["optimiser"] = torch.load(run[0].folder.checkpoint, weights_only=True)["optimiser"]
        if optimiser["kind"] == "sgd":
            assert "optimiser" in refused(training._load, own)
