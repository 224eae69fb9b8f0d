"""Overfitting: a collapse is detected and undone, and curves of the test set change only the log."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.tiny_training import finish, same, tiny_data, tiny_recipe, tiny_training
from torch import nn

import autodual
from autodual.attacks import Pgd, broken
from autodual.data import Dataset
from autodual.errors import DataError, InvalidInputError
from autodual.train.collapse import READING, CollapseWatch
from autodual.train.curves import LabelledSamples, labelled_test_set
from autodual.train.recipe import CollapseSection, Recipe, assemble
from autodual.train.samples import PseudoLabelled, Samples
from autodual.train.training import Training
from autodual.world import World

# Learns well for three epochs, then takes steps that ruin it.
RUINED: dict[str, Any] = {
    "network": {"arch": "mlp:8"},
    "data": {"hold_out": 8},
    "set": {"eps": 0.01},
    "loss": {"kind": "fgsm"},
    "scheduled": {},
    "radius": 1.0,
    "learning_rate": {"kind": "steps", "start": 0.1, "at": [3], "factor": 1000.0},
    "optimiser": {"kind": "sgd", "averaging": 0.5},
    "collapse": {"samples": 24},
    "epochs": 6,
}


def after_epochs(path: Path, count: int, **values: Any) -> Training:
    training = tiny_training(path, **values)
    while len(training.progress.rows) < count:
        training.step()
    return training


def averages(training: Training) -> dict[str, torch.Tensor]:
    assert training.average is not None
    return training.average.tensors


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def test_a_collapse_ends_the_run_with_the_weights_of_the_last_good_epoch(tmp_path: Path) -> None:
    training = tiny_training(tmp_path / "run", **RUINED)
    network = finish(training)
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").open()))
    assert [row["collapsed"] for row in rows] == ["0", "0", "0", "1"] and training.progress.stopped
    errors = [float(row["minibatch_robust_error"]) for row in rows]
    assert errors[3] - errors[2] > 0.2
    good = after_epochs(tmp_path / "good", 3, **RUINED)
    assert same(network, good.network.state_dict())
    assert same(averages(training), averages(good))
    assert same(weights(tmp_path / "run" / "last.pt"), weights(tmp_path / "good" / "last.pt"))
    assert same(weights(tmp_path / "run" / "network.pt"), weights(tmp_path / "good" / "network.pt"))
    again = tiny_training(tmp_path / "run", resume=True, **RUINED)
    assert again.done and same(again.network.state_dict(), network)


@pytest.mark.parametrize("stop", [8, 18, 20])
def test_a_run_that_collapses_after_resuming_ends_with_the_same_weights(tmp_path: Path, stop: int) -> None:
    """Stopped before, at and after the end of the last good epoch, which is step 18."""
    whole = finish(tiny_training(tmp_path / "whole", **RUINED))
    first = tiny_training(tmp_path / "parts", **RUINED)
    for step in range(stop):
        first.step(stop=step == stop - 1)
    second = tiny_training(tmp_path / "parts", resume=True, **RUINED)
    assert same(finish(second), whole) and second.progress.rows[-1]["collapsed"] == 1.0
    assert same(*(weights(tmp_path / name / "last.pt") for name in ("whole", "parts")))


def test_a_collapse_before_any_validation_leaves_the_good_network(tmp_path: Path) -> None:
    ramp = {"kind": "linear", "start": 0.9, "end": 1.0, "begin": 5.0, "finish": 6.0}
    for values in ({"radius": ramp}, {"validation": {"every": 6}}, {"data": {"hold_out": 0}}):
        run = tmp_path / str(len(list(tmp_path.iterdir())))
        training = tiny_training(run, **{**RUINED, **values})
        finish(training)
        assert training.progress.rows[-1]["collapsed"] == 1.0
        network = weights(run / "network.pt")
        assert same(network, weights(run / "last.pt")) and same(network, averages(training))


def test_a_pass_that_counts_as_several_epochs_is_undone_as_a_whole(tmp_path: Path) -> None:
    rates = {"kind": "steps", "start": 0.1, "at": [4], "factor": 1000.0}
    values = {**RUINED, "loss": {"kind": "free", "replays": 2}, "learning_rate": rates}
    training = tiny_training(tmp_path / "run", **{**values, "collapse": {"watch": "always", "samples": 24}})
    network = finish(training)
    assert [(row["epoch"], row["collapsed"]) for row in training.progress.rows] == [(2, 0.0), (4, 0.0), (6, 1.0)]
    assert same(network, after_epochs(tmp_path / "good", 2, **values).network.state_dict())
    assert torch.load(tmp_path / "run" / "last.pt", weights_only=True)["trained"]["epochs"] == 4


def test_watching_changes_no_step(tmp_path: Path) -> None:
    values = {**RUINED, "learning_rate": 0.03, "epochs": 2}
    watched = finish(tiny_training(tmp_path / "one", **{**values, "collapse": {"watch": "always"}}))
    assert same(finish(tiny_training(tmp_path / "two", **{**values, "collapse": {"watch": "never"}})), watched)
    header = (tmp_path / "two" / "log.csv").read_text().splitlines()[0].split(",")
    assert not set(READING) & set(header)


@pytest.mark.parametrize(
    ("loss", "watched"),
    [
        ("fgsm", True),
        ("n-fgsm", True),
        ("free", True),
        ("clean", False),
        ({"kind": "pgd", "steps": 1}, True),
        ({"kind": "adversarial", "steps": 2}, False),
        ("pgd", False),
        ({"kind": "mtl-ibp", "steps": 1}, False),
        ({"kind": "regularised", "loss": {"kind": "adversarial", "steps": 1}}, True),
    ],
)
def test_losses_of_a_single_step_are_watched(loss: Any, watched: bool) -> None:
    assert assemble(Recipe, {"loss": loss}).watches is watched
    assert not assemble(Recipe, {"loss": loss, "collapse": {"watch": "never"}}).watches
    assert assemble(Recipe, {"loss": loss, "collapse": {"watch": "always"}}).watches


def test_the_measured_robust_error_of_a_linear_network_is_exact() -> None:
    """Its gradient is constant: every feature ends at the radius, and the robust error has a closed form."""
    torch.manual_seed(3)
    model, x, y = nn.Linear(5, 2), torch.rand(40, 5), torch.arange(40) % 2
    recipe = assemble(Recipe, {"set": {"eps": 0.2}, "loss": "fgsm", "collapse": {"samples": 40, "steps": 8}})
    samples = Samples(x, y, x[:0], y[:0], 2)
    watch = CollapseWatch(recipe, samples, autodual.compile_dual(model), None, World(), seed=1)
    found = watch.reading([])
    with torch.no_grad():
        scores, direction = model(x), model.weight[1] - model.weight[0]
        margin = (scores[:, 1] - scores[:, 0]) * (2 * y - 1) - 0.2 * direction.abs().sum()
    assert found["minibatch_robust_error"] == pytest.approx(float((margin < 0).float().mean()))
    assert 0 < found["minibatch_robust_error"] < 1
    assert found["delta_0.95"] == 1.0 and found["collapsed"] == 0.0
    error = found["minibatch_robust_error"]
    for before, collapsed in ((error - 0.19, 0.0), (error - 0.21, 1.0), (float("nan"), 0.0)):
        assert watch.reading([{**found, "minibatch_robust_error": before}])["collapsed"] == collapsed
    few = replace(recipe, collapse=CollapseSection(), batch_size=3)  # smaller minibatches are filled up
    # Five steps of a quarter of the radius, from a uniform start, reach it if the start is above -1/4 of the radius.
    shares = CollapseWatch(few, samples, watch.dual, None, World(), seed=1).reading([])
    assert shares["minibatch_robust_error"] * 40 == pytest.approx(round(shares["minibatch_robust_error"] * 40))
    assert shares["delta_0.95"] == pytest.approx(0.625 + 0.05 / 2, abs=0.08)


CURVES: dict[str, Any] = {
    "network": {"arch": "mlp:8"},
    "data": {"hold_out": 8, "test": "other"},
    "loss": {"kind": "pgd", "steps": 2},
    "scheduled": {},
    "radius": 1.0,
    "learning_rate": 0.01,
    "curves": {"sets": ["train", "test"], "samples": 16},
    "epochs": 3,
}


def with_test(path: Path, test: LabelledSamples | None, **values: Any) -> Training:
    values = {**CURVES, **values}
    made = tiny_training(path, **{**values, "data": {"hold_out": 8}, "curves": {"sets": []}})
    return Training(tiny_recipe(**values), made.samples, made.folder, test=test)


def test_no_choice_and_no_step_depends_on_the_test_set(tmp_path: Path) -> None:
    """Correct labels, wrong labels and no test set give the same weights and the same chosen network."""
    other = tiny_data(40)
    assert other.y is not None
    runs, trainings = [], []
    for name, labels in (("right", other.y[32:]), ("wrong", (other.y[32:] + 1) % 3), ("none", None)):
        if labels is None:
            values = {**CURVES, "data": {"hold_out": 8}, "curves": {"sets": ["train"]}}
            trainings.append(tiny_training(tmp_path / name, **values))
        else:
            trainings.append(with_test(tmp_path / name, LabelledSamples(other.x[32:], labels)))
        runs.append(finish(trainings[-1]))
    right, wrong, none = trainings
    assert same(runs[0], runs[1]) and same(runs[0], runs[2])
    for name in ("network.pt", "last.pt"):
        kept = [weights(tmp_path / run / name) for run in ("right", "wrong", "none")]
        assert same(kept[0], kept[1]) and same(kept[0], kept[2])
    assert right.selection == wrong.selection == none.selection
    found = [[row.get("test_clean_error") for row in one.progress.rows] for one in (right, wrong, none)]
    assert found[0] != found[1] and found[2] == [None] * 3


def test_the_test_set_is_measured_after_the_epochs_choice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, kept = tiny_data(40), []
    assert other.y is not None
    training = with_test(tmp_path / "run", LabelledSamples(other.x, other.y))
    curves = training._end.curves
    measured = type(curves).measured

    def counted(self: Any, epoch: int) -> Any:
        kept.append((tmp_path / "run" / "network.pt").is_file() and list(training.selection.best))
        return measured(self, epoch)

    monkeypatch.setattr(type(curves), "measured", counted)
    finish(training)
    ranked = [[row[f"{name}_error"] for name in ("attacked", "clean")] for row in training.progress.rows]
    assert [best and best[0] for best in kept] == [min(ranked[: end + 1])[0] for end in range(3)]


def test_curves_are_the_errors_under_the_attack(tmp_path: Path) -> None:
    other = tiny_data(48)
    assert other.y is not None
    test = LabelledSamples(other.x[24:], other.y[24:])
    validation = {"attack_steps": 3, "attack_step_size": 0.5, "attack_start": "uniform", "samples": 2}
    training = with_test(tmp_path, test, optimiser={"averaging": 0.0}, validation=validation, epochs=1)
    finish(training)
    row, ball = training.progress.rows[-1], autodual.LinfBall(0.05)
    sets = {"train": (training.samples.x[:16], training.samples.y[:16]), "test": (test.x[:16], test.y[:16])}
    for name, (x, y) in sets.items():
        for kind, attack in (("clean", None), ("robust", Pgd(3, 0.5, start="uniform"))):
            wrong = broken(training.dual.outputs, ball.at(x), y, attack)
            assert row[f"{name}_{kind}_error"] == pytest.approx(float(wrong.float().mean()))


@pytest.mark.parametrize("select", ["robust", "clean", "certified"])
def test_validation_selects_by_the_error_that_is_asked_for(
    tmp_path: Path, select: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if select != "certified":
        monkeypatch.setattr(autodual.DualNetwork, "margins", lambda *_, **__: pytest.fail("a bound was computed"))
    values = {**CURVES, "data": {"hold_out": 8}, "curves": {}, "validation": {"select": select, "attack_steps": 2}}
    training = tiny_training(tmp_path, **{**values, "learning_rate": 0.03, "epochs": 4})
    finish(training)
    column = {"robust": "attacked"}.get(select, select)
    errors = [row[f"{column}_error"] for row in training.progress.rows]
    assert training.selection.best[0] == min(errors)
    assert [row["chosen"] for row in training.progress.rows].index(1.0) == 0
    assert all(math.isnan(row["certified_error"]) == (select != "certified") for row in training.progress.rows)


@pytest.mark.parametrize(
    ("loss", "selected"),
    [
        ("clean", "clean"),
        ("pgd", "robust"),
        ("free", "robust"),
        ("trades", "robust"),
        ("interval", "certified"),
        ("sabr", "certified"),
    ],
)
def test_the_loss_determines_the_error_for_selection(loss: str, selected: str) -> None:
    assert assemble(Recipe, {"loss": loss}).selected_by == selected
    assert assemble(Recipe, {"loss": loss, "validation": {"select": "clean"}}).selected_by == "clean"


@pytest.mark.parametrize("select", ["robust", "clean"])
def test_patience_counts_validations_of_every_kind(tmp_path: Path, select: str) -> None:
    validation = {"select": select, "patience": 2, "attack_steps": 1}
    values = {**CURVES, "data": {"hold_out": 8}, "curves": {}, "learning_rate": 0.0, "epochs": 50}
    training = tiny_training(tmp_path, **values, validation=validation)
    finish(training)
    assert len(training.progress.rows) == 3 and training.done


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"loss": "pgd", "validation": {"attack_steps": 0}}, "chosen by its robust error"),
        ({"data": {"test": "mnist:test"}}, "go together"),
        ({"curves": {"sets": ["test"]}}, "go together"),
        ({"curves": {"sets": ["validation"]}}, "'curves.sets' must be one of 'train', 'test'"),
        ({"data": {"test": "a"}, "curves": {"sets": ["test"]}, "stages": 2}, "not for the stages"),
        ({"validation": {"select": "best"}}, "must be one of"),
        ({"collapse": {"drop": 1.5}}, "'collapse.drop' must be"),
    ],
)
def test_recipes_that_need_unmeasured_errors_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        assemble(Recipe, values)


def test_test_sets_that_do_not_fit_are_refused() -> None:
    train = tiny_data()
    other = replace(train, x=train.x + 0.001, sha256="1" * 64)
    assert other.y is not None
    assert labelled_test_set(other, train, 3).x.dtype == torch.float32
    for wrong, words in (
        (train, "are among those that the network is trained on"),
        (_mixed(other, train, len(train) // 10 + 1), f"^{len(train) // 10 + 1} of the {len(train)} samples"),
        (replace(other, y=None), "no class for each sample"),
        (replace(other, x=other.x[..., :4]), "samples of shape"),
        (replace(other, y=other.y + 1), "outside the 3 classes"),
        (replace(other, x=other.x.double() * 1e300), "too large"),
    ):
        with pytest.raises(DataError, match=words):
            labelled_test_set(wrong, train, 3)
    more = PseudoLabelled(other.x, other.y, (other.sha256, "2" * 64))
    with pytest.raises(DataError, match="are among those that the network is trained on"):
        labelled_test_set(other, train, 3, unlabelled=more)
    few = _mixed(other, train, len(train) // 10)  # of some sets a few samples are in both parts
    assert labelled_test_set(few, train, 3).x.shape == train.x.shape


def _mixed(test: Dataset, train: Dataset, count: int) -> Dataset:
    """A test set of other files, of whose samples the last `count` are those of the training set, in another order."""
    return replace(test, x=torch.cat([test.x[count:], train.x[:count].double().flip(0)]))


def test_a_checkpoint_of_an_earlier_version_is_resumed(tmp_path: Path) -> None:
    values = {**CURVES, "data": {"hold_out": 8}, "curves": {}, "loss": {"kind": "interval"}, "epochs": 3}
    whole = finish(tiny_training(tmp_path / "whole", **values))
    first = tiny_training(tmp_path / "early", **values)
    for step in range(9):
        first.step(stop=step == 8)
    place = tmp_path / "early" / "checkpoint.pt"
    state = torch.load(place, weights_only=True)
    for key in ("good", "carried"):
        del state[key]
    state["progress"].update(state.pop("selection"))
    for row in state["progress"]["rows"]:
        del row["chosen"]
    torch.save(state, place)
    second = tiny_training(tmp_path / "early", resume=True, **values)
    assert second.selection == first.selection
    assert same(finish(second), whole)
