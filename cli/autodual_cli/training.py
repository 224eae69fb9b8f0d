"""What `autodual train` does: the run's folder, the loop, its figures, and stopping cleanly."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import click
import torch

from autodual.architectures import describe_architectures, is_architecture
from autodual.data import Dataset, load_dataset
from autodual.errors import InvalidInputError
from autodual.files.architecture import Factory, resolve_factory
from autodual.train.checkpoint import RunFolder
from autodual.train.journal import Board, Figures
from autodual.train.recipe import Recipe, assemble, disassemble
from autodual.train.training import Training
from autodual.world import World, world_of_environment
from autodual_cli.interruption import shielded, stop_requested
from autodual_cli.options import TrainOptions
from autodual_cli.progress import progress
from autodual_cli.provenance import file_record, provenance
from autodual_cli.recipes import chosen_recipe, overrides_given
from autodual_cli.subject import find_device


def run_training(options: TrainOptions) -> int:
    """Train from the first or the last saved step to the end; the command's exit status.

    Raises AutodualError for options, data and folders that are not right, and where training diverges.
    """
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device = find_device(options.device)
    with world_of_environment(device) as world:
        training, dataset = _prepared(options, device, world)
        if world.first:
            training.folder.make()
        with training.folder.locked() if world.first else nullcontext():
            _run(training, options, dataset, device)
    return 0


def _run(training: Training, options: TrainOptions, dataset: Dataset, device: torch.device) -> None:
    """Describe the run, take its steps, and say where its network is."""
    first, recipe = training.world.first, training.recipe
    if first and not options.resume:
        training.folder.describe(_description(recipe, options, dataset, device))
    quiet = options.quiet or not first
    if not quiet and recipe.radius(recipe.epochs) < 1:
        click.echo("The radius does not reach set.eps within these epochs; finish its schedule earlier.", err=True)
    _loop(training, options, quiet)
    if not quiet and training.done:
        click.echo(f"Saved {training.folder.network}; now: autodual certify {training.folder.network}")


def _prepared(options: TrainOptions, device: torch.device, world: World) -> tuple[Training, Dataset]:
    folder = RunFolder(options.output)
    given = overrides_given(options)
    if options.resume and given:
        raise InvalidInputError(f"--resume goes on with the run's own recipe; leave out what sets {given[0]}.")
    folder.check(resume=options.resume)
    if options.resume:
        recipe = assemble(Recipe, folder.load()["recipe"])
    else:
        recipe = chosen_recipe(options)
    factory = _factory(recipe.network.arch)
    directory = folder.described().get("data_dir") if options.resume and options.data_dir is None else options.data_dir
    dataset = load_dataset(recipe.data.train, directory)
    if options.resume and folder.described().get("data_sha256") != dataset.sha256:
        raise InvalidInputError(f"'{dataset.name}' is not what the run in '{folder.path}' was begun with.")
    training = Training(
        recipe,
        dataset,
        folder,
        factory=factory,
        device=device,
        world=world,
        resume=options.resume,
        seconds_between_saves=options.save_seconds,
    )
    return training, dataset


def _factory(arch: str) -> Factory | None:
    """The user's own architecture, if it is one."""
    if is_architecture(arch):
        return None
    if ":" not in arch or arch.partition(":")[2].isdecimal():
        raise InvalidInputError(
            f"'{arch}' is no architecture; there are {describe_architectures()}, and PLACE:FACTORY for your own."
        )
    return resolve_factory(arch)


def _description(recipe: Recipe, options: TrainOptions, dataset: Dataset, device: torch.device) -> dict[str, Any]:
    """What `run.json` holds: all that is needed to run it again."""
    files = [file_record("data", dataset.name, dataset.sha256)]
    units = "the units of the data" if not recipe.data.mean else "the units of the data, before normalisation"
    return {
        "schema": "autodual.training/1",
        "recipe": disassemble(recipe),
        "data_dir": None if options.data_dir is None else str(options.data_dir.resolve()),
        "data_description": dataset.description,
        "data_sha256": dataset.sha256,
        "threads": torch.get_num_threads(),
        "provenance": provenance(device, files, units=units, samples=len(dataset)),
    }


def _loop(training: Training, options: TrainOptions, quiet: bool) -> None:
    """All steps that are left. A signal is heard after a step, and the run saved before the command ends."""
    board = Board(training.folder.path / "tensorboard", len(training.progress.rows)) if options.tensorboard else None
    samples, size = len(training.samples.x), training.recipe.batch_size
    total, done = samples * training.recipe.epochs, training.progress.step * size
    with shielded(), progress(total, min(done, total), enabled=not quiet) as advance:
        while not training.done:
            logged = len(training.progress.rows)
            stopped = training.step(stop=stop_requested())
            advance(size, _headline(training))
            if len(training.progress.rows) > logged:
                row = training.progress.rows[-1]
                if not quiet:
                    click.echo(_line(row, training.recipe.epochs))
                if board is not None and training.world.first:
                    board.add(row)
            if stopped:
                if training.world.first:
                    again = f"autodual train --output {training.folder.path} --resume"
                    click.echo(f"Stopped after step {training.progress.step} and saved; go on with: {again}", err=True)
                break
    if board is not None:
        board.close()


def _headline(training: Training) -> str:
    return f"epoch {int(training.epoch) + 1}  loss {training.progress.mean_loss:.4g}"


def _line(row: Figures, epochs: int) -> str:
    """One epoch in words."""
    text = (
        f"epoch {row['epoch']:.0f}/{epochs}  {row['seconds']:.0f} s  radius {row['radius']:.4g}  loss {row['loss']:.4f}"
    )
    names = [(name, row[f"{name}_error"]) for name in ("clean", "attacked", "certified")]
    found = ", ".join(f"{name} {value:.2%}" for name, value in names if value == value)
    return f"{text}  held-out errors: {found}" if found else text
