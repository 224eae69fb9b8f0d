"""Augmentations: possible results, their probabilities, and independence of the samples of a batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as functional
from support.tiny_training import finish, same, tiny_data, tiny_recipe, tiny_training

from autodual.data import Dataset
from autodual.errors import DataError, InvalidInputError
from autodual.train.augmentation import Crop, Cutout, Flip
from autodual.train.recipe import DataSection, Recipe, assemble, disassemble
from autodual.train.samples import augmented, split


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_each_crop_is_a_window_of_the_padded_image_and_all_are_equally_likely() -> None:
    """By brute force: 25 windows of an image with distinct pixels, including zero padding."""
    image = torch.arange(1.0, 43.0).view(1, 2, 3, 7)
    padded = functional.pad(image, (2, 2, 2, 2))
    windows = torch.stack([padded[0, :, i : i + 3, j : j + 7] for i in range(5) for j in range(5)])
    crops = Crop(2).changed(image.expand(5000, -1, -1, -1))
    equal = (crops[:, None] == windows[None]).flatten(2).all(2)
    assert bool((equal.sum(1) == 1).all())
    counts = equal.sum(0).double()
    assert float(((counts - 200) ** 2 / 200).sum()) < 60  # chi-squared with 24 degrees of freedom: p about 6e-5


@pytest.mark.parametrize("side", [1, 2, 3, 4, 9, 40])
def test_cutout_zeroes_a_square_around_any_pixel_clipped_at_the_borders(side: int) -> None:
    """By brute force: exactly the possible holes occur."""
    height, width, half = 4, 6, side // 2
    holes = torch.ones(height, width, height, width)
    for i in range(height):
        for j in range(width):
            holes[i, j, max(i - half, 0) : max(i - half + side, 0), max(j - half, 0) : max(j - half + side, 0)] = 0
    x = torch.rand(1500, 3, height, width) + 0.5
    found = Cutout(side).changed(x)
    kept = found != 0
    assert torch.equal(found, x * kept) and bool((kept == kept[:, :1]).all())
    expected = {tuple(hole.flatten().bool().tolist()) for hole in holes.flatten(0, 1)}
    assert {tuple(one.flatten().tolist()) for one in kept[:, 0]} == expected


def test_flips_mirror_about_half_of_the_images() -> None:
    x = torch.rand(1000, 1, 2, 3)
    found = Flip().changed(x)
    flipped, kept = ((found == one).flatten(1).all(1) for one in (x.flip(3), x))
    assert bool((flipped ^ kept).all())
    assert (
        400 < int(flipped.sum()) < 600
        and torch.equal(Flip(1.0).changed(x), x.flip(3))
        and torch.equal(Flip(0.0).changed(x), x)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_fields_flip_and_shift_are_short_for_augmentations(dtype: torch.dtype) -> None:
    x, y = torch.rand(6, 3, 8, 8).to(dtype), torch.arange(6)
    torch.manual_seed(3)
    short, labels = augmented(x, y, DataSection(flip=True, shift=2, augmentations=(Cutout(3),)))
    torch.manual_seed(3)
    long, _ = augmented(x, y, DataSection(augmentations=(Flip(), Crop(2), Cutout(3))))
    assert torch.equal(short, long) and short.dtype == dtype and labels is y


def test_a_recipe_lists_augmentations_by_name_or_with_options() -> None:
    recipe = assemble(Recipe, {"data": {"augmentations": ["flip", {"kind": "cutout", "side": 8}]}})
    assert recipe.data.augmentations == (Flip(), Cutout(8))
    assert assemble(Recipe, disassemble(recipe)) == recipe
    for values, words in (
        (["turn"], "'data.augmentations.kind' must be one of flip, crop, cutout, mixup"),
        ([{"kind": "cutout", "side": 0}], "'data.augmentations.side' must be at least 1"),
        ("flip", "'data.augmentations' must be a list"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            assemble(Recipe, {"data": {"augmentations": values}})


@pytest.mark.parametrize("name", ["flip", "crop", "cutout"])
def test_samples_that_are_no_images_are_refused(name: str) -> None:
    recipe = tiny_recipe(data={"augmentations": [name], "hold_out": 2})
    data = Dataset(torch.rand(6, 4), torch.arange(6) % 3, "rows", "random", "")
    with pytest.raises(DataError, match=r"changes images .* but samples have the shape \[4\]"):
        split(data, recipe.data, 0)
    with pytest.raises(DataError, match="out of sight"):
        split(tiny_data(), DataSection(hold_out=2, shift=8), 0)


def test_a_resumed_run_draws_the_same_changes(tmp_path: Path) -> None:
    data = {"hold_out": 8, "augmentations": ["flip", {"kind": "crop", "padding": 1}, {"kind": "cutout", "side": 3}]}
    values = {"data": data, "loss": "clean", "scheduled": {}, "validation": {"attack_steps": 0}}
    whole = finish(tiny_training(tmp_path / "whole", **values))
    plain = finish(tiny_training(tmp_path / "plain", **{**values, "data": {"hold_out": 8}}))
    first = tiny_training(tmp_path / "parts", **values)
    for step in range(4):
        first.step(stop=step == 3)
    assert same(finish(tiny_training(tmp_path / "parts", resume=True, **values)), whole)
    assert not same(whole, plain)
