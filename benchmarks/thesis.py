"""The thesis' experiments on provable training, at a chosen size: Tables 3.1 to 3.7 and the training figures.

    python benchmarks/thesis.py [errors sizes networks cascades l2 wide deep projections radii]
        --data-dir DIR [--epochs 2] [--limit 5000] [--test 500]

The thesis trains for 60 epochs on all samples; its schedules are scaled to `--epochs`. Runs whose data are not in the
folder, or whose networks have more than `--largest` parameters, print 'not run'. Errors are on the first `--test` test
samples: clean, PGD (20 steps) and certified, by the thesis' own bounds (exact, shared slopes) with rounding; those of a
cascade include the check that its guarantee needs. One thread. docs/results/thesis_NAME.json also holds every epoch.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from measure import calibration, save, say, seconds
from thesis_experiments import CIFAR, EXPERIMENTS, SHAPES, Run, har_network
from torch import Tensor, nn

import autodual
from autodual.attacks import Pgd, broken
from autodual.certification import Cascade, certify_cascade
from autodual.data import Dataset, load_dataset
from autodual.errors import DataError
from autodual.train.checkpoint import RunFolder
from autodual.train.recipe import Recipe, assemble
from autodual.train.samples import split
from autodual.train.stages import Stages


@dataclass
class Size:
    """The size of the experiments."""

    epochs: int
    limit: int
    test: int
    largest: int
    data_dir: Path | None
    sets: dict[str, Dataset] = field(default_factory=dict)

    def dataset(self, name: str) -> Dataset:
        """A data set, read once."""
        if name not in self.sets:
            self.sets[name] = load_dataset(name, self.data_dir)
        return self.sets[name]


def recipe_of(run: Run, size: Size) -> Recipe:
    """The thesis' recipe, its 60 epochs scaled to the number that is run."""
    unit = size.epochs / 60
    first = 0.001 if run.data == "cifar10" else 0.01
    times = [place * unit for place in (20, 30, 40, 50)]
    return assemble(
        Recipe,
        {
            "epochs": size.epochs,
            "batch_size": 50,
            "stages": run.stages,
            "projection": run.projection,
            "radius": {"kind": "linear", "start": min(1.0, first / run.eps), "end": 1.0, "finish": 20 * unit},
            "learning_rate": {"kind": "steps", "start": 1e-3, "at": times, "factor": 0.5},
            "data": {
                "limit": size.limit,
                "hold_out": min(200, size.limit // 5) if size.limit else 200,
                **(CIFAR if run.data == "cifar10" else {}),
            },
            "network": {"arch": "benchmarks/thesis_experiments.py:har_network" if run.arch == "har" else run.arch},
            "set": {"eps": run.eps, "norm": run.norm},
            "loss": "robust" if run.robust else "clean",
            "validation": {"bounds": "dual", "samples": 100, "attack_steps": 0},
        },
    )


def train(run: Run, size: Size) -> tuple[Cascade, list[dict[str, Any]]]:
    """The trained stages, and the figures of every epoch."""
    recipe = recipe_of(run, size)
    dataset = size.dataset(f"{run.data}:train")
    with tempfile.TemporaryDirectory() as place:
        factory = har_network if run.arch == "har" else None
        stages = Stages(recipe, split(dataset, recipe.data, recipe.seed), RunFolder(Path(place)), factory=factory)
        log: list[dict[str, Any]] = []
        for number, training in enumerate(stages, start=1):
            while not training.done:
                training.step()
            log += [{"stage": number, **row} for row in training.progress.rows]
        if run.stages > 1:
            models = autodual.load_cascade(stages.folder.cascade, factory)
        else:
            models = [autodual.load_model(stages.folder.network, factory=factory)]  # type: ignore[list-item]
    return Cascade([autodual.compile_dual(model) for model in models]), log  # type: ignore[arg-type]


def evaluate(cascade: Cascade, run: Run, size: Size) -> dict[str, float]:
    """Errors of the first stage, and of the whole cascade if there are more."""
    test = size.dataset(f"{run.data}:test")
    ball = autodual.LpBall(run.norm, run.eps)
    first, count = cascade.stages[0], min(size.test, len(test))
    found = dict.fromkeys(("clean", "pgd", "certified"), 0)
    kept = 0
    for part in torch.arange(count).split(50):
        x, y = test.x[part].float(), labels_of(test, part)
        found["clean"] += int(broken(first.outputs, ball.at(x), y, None).sum())
        found["pgd"] += int(broken(first.outputs, ball.at(x), y, Pgd(20)).sum())
        found["certified"] += sum(not one.certified for one in autodual.certify(first, x, ball, y, slopes="shared"))
        if run.stages > 1:
            kept += sum(not one.certified for one in certify_cascade(cascade, x, ball, y, slopes="shared"))
    errors = {name: value / count for name, value in found.items()}
    return {**errors, "cascade": kept / count} if run.stages > 1 else errors


def labels_of(data: Dataset, part: Tensor) -> Tensor:
    """Labels of some samples of a data set with labels."""
    assert data.y is not None
    return data.y[part]


def line(run: Run, size: Size) -> dict[str, Any]:
    """One line of a table: the results, or why it was not run."""
    shown: dict[str, Any] = {"run": run.words, "stages": run.stages, "published": run.published}
    parameters = sum(value.numel() for value in run.build().parameters())
    if parameters > size.largest:
        return {**shown, "not run": f"{parameters:,} parameters"}
    try:
        size.dataset(f"{run.data}:train"), size.dataset(f"{run.data}:test")
    except DataError:
        return {**shown, "not run": f"no files of {run.data} in --data-dir"}
    start = time.process_time()
    cascade, log = train(run, size)
    spent = time.process_time() - start
    return {**shown, "parameters": parameters, "seconds": spent, **evaluate(cascade, run, size), "log": log}


def report(name: str, place: str, lines: list[dict[str, Any]], size: Size) -> None:
    """Print a table and save it."""
    say(f"\n{name}: {place}\n\n| run | stages | clean | PGD | certified | cascade | CPU s | thesis |\n|" + "---|" * 8)
    for found in lines:
        if "not run" in found:
            say(f"| {found['run']} | {found['stages']} | not run: {found['not run']} | | | | | {found['published']} |")
            continue
        errors = " | ".join(
            f"{found[key]:.1%}" if key in found else "–" for key in ("clean", "pgd", "certified", "cascade")
        )
        say(f"| {found['run']} | {found['stages']} | {errors} | {found['seconds']:.0f} | {found['published']} |")
    sizes = {"epochs": size.epochs, "training_samples": size.limit, "test_samples": size.test}
    save(f"thesis_{name}", {"thesis": place, **sizes, "C": seconds(calibration, 3), "lines": lines})


def architectures(size: Size) -> None:
    """Hidden units and parameters of every architecture, without training."""
    lines: list[Mapping[str, Any]] = []
    say("\nsizes\n\n| architecture | input | hidden units | parameters |\n|---|---|---|---|")
    names = ("small", "large", "resnet", "wide:1", "wide:8", "wide:16", "deep:1", "deep:3")
    for data, arch in [("har", "har"), *((data, arch) for data in ("mnist", "cifar10") for arch in names)]:
        model = Run(data, arch).build()
        units = hidden_units(model, torch.zeros(1, *SHAPES[data]))
        parameters = sum(value.numel() for value in model.parameters())
        lines.append({"architecture": arch, "data": data, "hidden_units": units, "parameters": parameters})
        say(f"| {arch} | {data} | {units:,} | {parameters:,} |")
    save("thesis_sizes", {"lines": lines})


def hidden_units(model: nn.Module, x: Tensor) -> int:
    """The number of ReLU units for one sample."""
    counts: list[int] = []
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda _module, _inputs, output: counts.append(output.numel()))
    model(x)
    return sum(counts)


def radii(size: Size) -> None:
    """Figure 3.8: attacked and certified error of a standard and a robust network, against the radius."""
    lines: list[Mapping[str, Any]] = []
    say("\nradii: Figure 3.8\n\n| network | radius | attacked (PGD) | certified |\n|---|---|---|---|")
    for run in (Run(robust=False), Run()):
        try:
            size.dataset(f"{run.data}:train"), size.dataset(f"{run.data}:test")
        except DataError:
            say(f"| {run.words} | not run: no files of {run.data} in --data-dir | | |")
            continue
        cascade, _ = train(run, size)
        for radius in (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2):
            found = evaluate(cascade, Run(eps=radius), size)
            lines.append({"network": run.words, "radius": radius, **found})
            say(f"| {run.words} | {radius} | {found['pgd']:.1%} | {found['certified']:.1%} |")
    save(
        "thesis_radii",
        {"epochs": size.epochs, "training_samples": size.limit, "test_samples": size.test, "lines": lines},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join([*EXPERIMENTS, 'sizes', 'radii'])}")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets' files")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--limit", type=int, default=5000, help="training samples, 0 for all")
    parser.add_argument("--test", type=int, default=500, help="test samples")
    parser.add_argument("--largest", type=int, default=500_000, help="parameters of a network that is still run")
    options = parser.parse_args()
    names = options.names or [*EXPERIMENTS, "sizes", "radii"]
    unknown = sorted(set(names) - {*EXPERIMENTS, "sizes", "radii"})
    if unknown:
        parser.error(f"no experiment is called {unknown[0]}")
    torch.set_num_threads(1)
    size = Size(options.epochs, options.limit, options.test, options.largest, options.data_dir)
    for name in names:
        if name in ("sizes", "radii"):
            (architectures if name == "sizes" else radii)(size)
            continue
        experiment = EXPERIMENTS[name]
        report(name, experiment.place, [line(run, size) for run in experiment.runs], size)


if __name__ == "__main__":
    main()
