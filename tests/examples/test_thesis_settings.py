"""The recipes of the thesis' chapter 3 that ship are the settings by which its tables are run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from autodual.train.recipe import Recipe, assemble, read_recipe

ROOT = Path(__file__).parents[2]
MNIST = {"dataset": "mnist", "model": "small", "eps": 0.1, "norm": "linf"}
CIFAR = {"dataset": "cifar10", "model": "small", "eps": "2/255", "norm": "linf"}


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The settings of the benchmark, and the thesis' own size."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from thesis_tables import chapter_3_settings
    from thesis_tables.size import Size

    numbers = dict.fromkeys(("epochs", "limit", "attack_steps"), 0)
    size = Size(**{name: numbers.get(name, 1) for name in Size.__dataclass_fields__ if name != "sets"})
    yield chapter_3_settings, size
    for name in [name for name in sys.modules if name.partition(".")[0] == "thesis_tables"]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("section", "row", "file"),
    [
        ("section_3_3", MNIST, "thesis_3.1_mnist"),
        ("section_3_3", {**MNIST, "dataset": "har", "model": "har_500", "eps": 0.05}, "thesis_3.1_har"),
        ("section_3_3", {**CIFAR, "dataset": "svhn", "eps": 0.01}, "thesis_3.1_svhn"),
        ("section_3_5", MNIST, "thesis_mnist_linf"),
        ("section_3_5", {**MNIST, "eps": 1.58, "norm": "l2"}, "thesis_mnist_l2"),
        ("section_3_5", CIFAR, "thesis_cifar_linf"),
    ],
)
def test_shipped_recipes_are_the_settings_of_the_tables(tables, section: str, row: dict[str, Any], file: str) -> None:
    settings, size = tables
    table = getattr(settings, section)(row, size)
    shipped = assemble(Recipe, read_recipe(ROOT / "examples" / "recipes" / f"{file}.toml"))
    for name in ("epochs", "batch_size", "projection", "network", "loss", "optimiser", "stages"):
        assert getattr(table, name) == getattr(shipped, name), name
    for name in ("mean", "std", "shift", "flip", "augmentations", "all_augmentations"):
        assert getattr(table.data, name) == getattr(shipped.data, name), name
    assert table.set.norm == shipped.set.norm and table.set.domain == shipped.set.domain == ()
    assert table.set.eps == pytest.approx(shipped.set.eps)
    for epoch in range(table.epochs):
        assert table.radius(epoch + 0.5) == pytest.approx(shipped.radius(epoch + 0.5), rel=1e-3)
        assert table.learning_rate(epoch) == pytest.approx(shipped.learning_rate(epoch))


def test_the_settings_are_those_that_the_thesis_prints(tables) -> None:
    settings, size = tables
    first, second, cifar = (
        settings.section_3_3(MNIST, size),
        settings.section_3_5(MNIST, size),
        settings.section_3_5(CIFAR, size),
    )
    radii = [0.1 * first.radius(epoch + 0.9) for epoch in (0, 49, 50, 99)]
    assert first.epochs == 100 and radii == pytest.approx([0.05, 0.1, 0.1, 0.1])
    assert {first.learning_rate(epoch) for epoch in range(100)} == {1e-3} and first.projection == 0
    assert second.epochs == 60 and [0.1 * second.radius(e) for e in (0, 19, 20)] == pytest.approx([0.01, 0.1, 0.1])
    assert [second.learning_rate(e) for e in (0, 29, 30, 40, 50, 59)] == pytest.approx(
        [1e-3, 1e-3, 5e-4, 2.5e-4, 1.25e-4, 1.25e-4]
    )
    assert cifar.optimiser.kind == "sgd" and cifar.learning_rate(0) == 0.05 and not cifar.optimiser.nesterov
    assert 2 / 255 * cifar.radius(0) == pytest.approx(0.001) and cifar.data.flip and cifar.data.shift == 4
