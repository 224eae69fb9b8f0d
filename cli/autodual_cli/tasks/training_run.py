"""What `autodual train` does: the run's folder, the loop, its figures, and stopping cleanly."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import Any

import click
import torch

from autodual.architectures import is_architecture
from autodual.train.checkpoint import SCHEMA, RunFolder
from autodual.train.curves import labelled_test_set
from autodual.train.journal import Board
from autodual.train.recipe import disassemble
from autodual.train.samples import split
from autodual.train.stages import Stages
from autodual.train.training import Training
from autodual.train.unlabelled import with_unlabelled
from autodual.world import World, world_of_environment
from autodual_cli.options.code_consent import allowed_factory
from autodual_cli.options.option_groups import TrainOptions
from autodual_cli.options.recipe_options import architecture_given, chosen_recipe
from autodual_cli.output.epoch_lines import collapse_line, curve_lines, epoch_line
from autodual_cli.output.provenance import architecture_records, file_record, provenance
from autodual_cli.process.interruption import Interrupted, shielded, stop_requested
from autodual_cli.process.progress_bar import progress
from autodual_cli.subject.devices import find_device
from autodual_cli.tasks.training_data import TrainingData, training_data
from autodual_cli.tasks.training_resumption import begun_in, refuse_changes, resumed_recipe


def run_training(options: TrainOptions) -> int:
    """Train from the first or the last saved step to the end; the command's exit status.

    Raises AutodualError for options, data and folders that are not right, and where training diverges.
    """
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    device, folder = find_device(options.device), RunFolder(options.output)
    if options.resume:
        refuse_changes(options)
    folder.check(resume=options.resume, overwrite=options.overwrite)
    with world_of_environment(device) as world, ExitStack() as held:
        if options.resume:
            _hold(folder, world, held)
        stages, data = _prepared(options, folder, device, world)
        trainings = iter(stages)
        first = next(trainings)  # where it cannot begin, nothing is left behind
        if not options.resume:
            _hold(folder, world, held)
            if world.first:
                folder.check(resume=False, overwrite=options.overwrite)  # another run may have begun meanwhile
                folder.clear()
        _run(stages, chain([first], trainings), options, data, device)
    return 0


def _hold(folder: RunFolder, world: World, held: ExitStack) -> None:
    """Make the run's folder, and keep other processes from training in it."""
    if world.first:
        folder.make()
        held.enter_context(folder.locked())


def _run(
    stages: Stages, trainings: Iterable[Training], options: TrainOptions, data: TrainingData, device: torch.device
) -> None:
    """Describe the run, train, and print where the trained networks are."""
    first, recipe = stages.world.first, stages.recipe
    quiet = options.quiet or not first
    if not quiet and recipe.radius(recipe.length) < 1:
        click.echo("The radius does not reach set.eps within these epochs; finish its schedule earlier.", err=True)
    if first and not options.resume:
        stages.folder.describe(_description(stages, options, data, device))
    for number, training in enumerate(_resumable(trainings, stages.folder, first), start=1):
        if first and training.folder != stages.folder:
            training.folder.describe(stages.folder.described())
        if not quiet and recipe.stages > 1:
            count = len(training.samples.x)
            click.echo(f"Stage {number} of {recipe.stages}: {count} samples that no stage certifies, to train on")
        if not _loop(training, options, quiet, run=stages.folder):
            return
        if not quiet and recipe.curves.sets:
            for line in curve_lines(training.progress.rows):
                click.echo(line)
        if not quiet and number < recipe.stages:
            click.echo(f"Looking for the samples that stage {number} does not certify …")
    if not quiet:
        click.echo(_farewell(stages))


def _resumable(trainings: Iterable[Training], folder: RunFolder, speaks: bool) -> Iterator[Training]:
    """The trainings of the run. A signal while the next one's samples are sought leaves the earlier ones resumable."""
    remaining = iter(trainings)
    while True:
        try:
            training = next(remaining, None)
        except Interrupted:
            if speaks:
                click.echo(f"Stopped before the next stage; {_how_to_go_on(folder)}", err=True)
            raise
        if training is None:
            return
        yield training


def _how_to_go_on(folder: RunFolder) -> str:
    return f"go on with: autodual train --output {folder.path} --resume"


def _farewell(stages: Stages) -> str:
    folder = stages.folder
    if stages.recipe.stages == 1:
        return f"Saved {folder.network}; now: autodual certify {folder.network}"
    count = len(stages.files)
    early = f" ({stages.ended})" if stages.ended else ""
    stages_kept = "1 stage" if count == 1 else f"{count} stages"
    return f"Saved {folder.cascade}, {stages_kept}{early}; now: autodual certify --cascade {folder.cascade}"


def _prepared(
    options: TrainOptions, folder: RunFolder, device: torch.device, world: World
) -> tuple[Stages, TrainingData]:
    described = folder.described() if options.resume else {}
    recipe = resumed_recipe(folder) if options.resume else chosen_recipe(options)
    factory = allowed_factory(recipe, architecture_given(options), begun_in(described))
    data = training_data(recipe, options, described)
    samples = split(data.train, recipe.data, recipe.seed, device)
    samples = with_unlabelled(samples, recipe.data, options.data_dir or described.get("data_dir"))
    test = None
    if data.test is not None:
        test = labelled_test_set(data.test, data.train, samples.classes, device, unlabelled=samples.unlabelled)
    stages = Stages(
        recipe,
        samples,
        folder,
        factory=factory,
        world=world,
        test=test,
        resume=options.resume,
        seconds_between_saves=options.save_seconds,
    )
    return stages, data


def _description(stages: Stages, options: TrainOptions, data: TrainingData, device: torch.device) -> dict[str, Any]:
    """What `run.json` holds: all that is needed to run it again."""
    recipe, unlabelled = stages.recipe, stages.samples.unlabelled
    arch = None if is_architecture(recipe.network.arch) else recipe.network.arch
    files = [file_record("data", one.name, one.sha256) for one in data.sets] + [*architecture_records(arch)]
    if unlabelled is not None:
        for role, digest in zip(("unlabelled", "teacher"), unlabelled.digests):
            files.append(file_record(role, getattr(recipe.data, role), digest))
    units = "the units of the data" if not recipe.data.mean else "the units of the data, before normalisation"
    return {
        "schema": SCHEMA,
        "recipe": disassemble(recipe),
        "data_dir": None if options.data_dir is None else str(options.data_dir.resolve()),
        "data_description": data.train.description,
        **data.digests,
        "threads": torch.get_num_threads(),
        "provenance": provenance(device, files, units=units, samples=len(data.train)),
    }


def _loop(training: Training, options: TrainOptions, quiet: bool, *, run: RunFolder) -> bool:
    """Take the remaining steps; return whether all were taken. After a signal, the current step is finished and saved.

    run: the folder to resume.
    """
    board, stopped = None, False
    if options.tensorboard and training.world.first:
        board = Board(training.folder.path / "tensorboard", len(training.progress.rows))
    with shielded(), progress(training.to_see, training.seen, enabled=not quiet) as display, warnings.catch_warnings():
        warnings.showwarning = lambda message, *_others, **_more: display.say(f"Warning: {message}", err=True)
        while not training.done:
            logged, seen = len(training.progress.rows), training.seen
            stopped = training.step(stop=stop_requested())
            display(training.seen - seen, _headline(training))
            if len(training.progress.rows) > logged:
                row = training.progress.rows[-1]
                if not quiet:
                    display.say(epoch_line(row, training.recipe.length))
                    collapse = collapse_line(training.progress.rows, training.recipe.collapse.drop)
                    if collapse is not None:
                        display.say(collapse)
                if board is not None:
                    board.add(row)
            if stopped:
                if training.world.first:
                    text = f"Stopped after step {training.progress.step} and saved; {_how_to_go_on(run)}"
                    display.say(text, err=True)
                break
    if board is not None:
        board.close()
    return training.done and not stopped


def _headline(training: Training) -> str:
    """The loss of this epoch so far, or of the last epoch if this one has none yet."""
    rows = training.progress.rows
    if rows and not training.progress.samples:
        return f"epoch {rows[-1]['epoch']:.0f}  loss {rows[-1]['loss']:.4g}"
    return f"epoch {int(training.epoch) + 1}  loss {training.progress.mean_loss:.4g}"
