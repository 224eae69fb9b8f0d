"""Options that several commands share, each group gathered into one frozen dataclass argument."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

import click

from autodual.data.named_data_sets import DATA_SETS
from autodual.policies import SlopePolicy
from autodual_cli.options.quantities import Memory, Norm, Numbers, Probability
from autodual_cli.options.set_command import NormOption

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
_PATH = click.Path(path_type=Path)
DATA_DIR_HELP = "Folder of the files of a data set that --data names, such as MNIST's IDX files."


@dataclass(frozen=True)
class ModelOptions:
    """Which network to work on, on which device and in which arithmetic; of dtype None, in its own."""

    path: Path
    arch: str | None
    unsafe_load: bool
    output_index: int | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    device: str
    dtype: str | None = None
    memory: int | None = None
    class_axis: int = 1
    passes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SeveralModels:
    """Several networks, which are all worked on in the same way."""

    paths: tuple[Path, ...]
    arch: str | None
    unsafe_load: bool
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    device: str
    dtype: str | None
    memory: int | None

    def each(self) -> list[ModelOptions]:
        """The options of each network by itself."""
        how = self.mean, self.std, self.device, self.dtype, self.memory
        return [ModelOptions(path, self.arch, self.unsafe_load, None, *how) for path in self.paths]


@dataclass(frozen=True)
class DataOptions:
    """Which samples, and how many at a time."""

    data: str | None
    data_dir: Path | None
    skip: int
    limit: int | None
    batch_size: int


@dataclass(frozen=True)
class BallOptions:
    """The shape of the perturbation set; its size is an option of the command."""

    norm: str
    domain: tuple[float, ...] | None
    set_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ProjectionOptions:
    """How to estimate the bounds that would need more rows than a budget.

    projection: that budget, and how many random columns each estimate takes. confidence: the probability that one
    sample's certificate holds. seed: of the random numbers.
    """

    projection: int
    confidence: float
    seed: int


@dataclass(frozen=True)
class OutputOptions:
    """Where results go."""

    json: Path | None
    csv: Path | None
    overwrite: bool
    resume: bool
    quiet: bool

    def __post_init__(self) -> None:
        refuse_both(overwrite=self.overwrite, resume=self.resume)


def refuse_both(*, overwrite: bool, resume: bool) -> None:
    """Refuse --overwrite beside --resume.

    Raises:
        UsageError: both are given.
    """
    if overwrite and resume:
        raise click.UsageError("Give either --resume, to go on from a file, or --overwrite, to replace it.")


@dataclass(frozen=True)
class TrainOptions:
    """Options of `autodual train`; None means that the recipe or its default decides."""

    recipe: Path | None
    settings: tuple[str, ...]
    data: str | None
    data_dir: Path | None
    arch: str | None
    batch_norm: bool | None
    loss: str | None
    eps: float | None
    norm: str | None
    set_options: Mapping[str, str]
    domain: tuple[float, ...] | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    projection: int | None
    epochs: int | None
    batch_size: int | None
    learning_rate: float | None
    seed: int | None
    memory: int | None
    cascade: int | None
    device: str
    threads: int | None
    output: Path
    overwrite: bool
    resume: bool
    save_seconds: float
    tensorboard: bool
    quiet: bool


@dataclass(frozen=True)
class EvaluationOptions:
    """How to evaluate the network of a run."""

    run: Path
    data: str | None
    data_dir: Path | None
    limit: int | None
    radii: int
    certificates: bool
    attack_steps: int
    restarts: int
    batch_size: int
    arch: str | None
    device: str
    memory: int | None
    overwrite: bool
    quiet: bool


def _gather(name: str, kind: type, *parameters: Decorator) -> Decorator:
    """A decorator that adds `parameters` to a command and passes their values as one `kind`, called `name`."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(**values: Any) -> Any:
            group = kind(**{one.name: values.pop(one.name) for one in fields(kind) if one.name in values})
            return function(**values, **{name: group})

        command: Callable[..., Any] = wrapper
        for parameter in reversed(parameters):
            command = parameter(command)
        return command

    return decorate


_loading = (
    click.option("--arch", metavar="PLACE:FACTORY", help="Builds the network of a state dict: package.module:factory "
                 "or file.py:factory. Runs that code."),
    click.option("--unsafe-load", is_flag=True, help="Also load files that execute code while they are loaded."),
)  # fmt: skip
_output_index = click.option("--output-index", type=click.IntRange(min=0), metavar="N",
                             help="Which of the network's outputs to use, counted from 0, if it has several."
)  # fmt: skip
_inputs = (
    click.option("--mean", type=Numbers(), help="The network is fed (x - mean) / std: one number, or one a channel. "
                 "Data, radius and domain stay in the units of x."),
    click.option("--std", type=Numbers(positive=True), help="See --mean."),
    click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N."),
)  # fmt: skip
_network = (click.argument("path", metavar="MODEL", type=_PATH), *_loading, _output_index, *_inputs)
_arithmetic = (
    click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True,
                 help="The arithmetic of the bounds."),
    click.option("--memory", type=Memory(), help="Memory budget of the bounds, such as 1GiB."),
)  # fmt: skip

_class_axis = click.option("--class-axis", type=int, default=1, show_default=True, metavar="AXIS",
                           help="Which axis of the outputs [N, ...] holds the classes: -1 for sequences [N, T, C]."
)  # fmt: skip

#: For commands that bound the network.
model_options = _gather(
    "model",
    ModelOptions,
    *_network,
    *_arithmetic,
    click.option("--pass", "passes", multiple=True, metavar="NAME[:FIELD=VALUE,...]",
                 help="Also run this pass, which an extension registers; repeatable."),
    _class_axis,
)  # fmt: skip

#: For commands that bound several networks.
several_models = _gather(
    "models",
    SeveralModels,
    click.argument("paths", metavar="MODEL...", nargs=-1, required=True, type=_PATH),
    *_loading,
    *_inputs,
    *_arithmetic,
)

#: For commands that only run it, in its own arithmetic.
network_options = _gather("model", ModelOptions, *_network, _class_axis)


def _data_options(batch_size: int) -> Decorator:
    """The options of the data, with so many samples at a time by default."""
    return _gather(
        "data",
        DataOptions,
        click.option("--data", help="A .npz file (x, y or images, labels); the name of a data set whose files are in "
                     f"--data-dir ({', '.join(DATA_SETS)}); or sample: 1,000 MNIST images, the default where they fit "
                     "the network."),
        click.option("--data-dir", type=_PATH, help=DATA_DIR_HELP),
        click.option("--skip", type=click.IntRange(min=0), default=0, show_default=True,
                     help="Leave out the first ones."),
        click.option("--limit", type=click.IntRange(min=1), help="Take this many samples only."),
        click.option("--batch-size", type=click.IntRange(min=1), default=batch_size, show_default=True,
                     help="Samples at a time. By default more and more, up to a few seconds' arithmetic, where rows do "
                     "not depend on it."),
    )  # fmt: skip


data_options = _data_options(10)
attacked_data_options = _data_options(100)

ball_options = _gather(
    "ball",
    BallOptions,
    click.option("--norm", cls=NormOption, type=Norm(), default="linf", show_default=True),
    click.option("--domain", type=Numbers(count=2), help="Intersect the ball with LOWER,UPPER, such as 0,1. "
                 "Without it the ball is not clipped."),
)  # fmt: skip

projection_options = _gather(
    "projections",
    ProjectionOptions,
    click.option("--projection", type=click.IntRange(min=1), metavar="R", default=2000,
                 show_default="2000 with --confidence", help="Estimate bounds whose exact rows cost more than R rows, "
                 "from R random projections; what fits stays exact."),
    click.option("--confidence", type=Probability(), metavar="C", default=0.99,
                 show_default="0.99 with --projection", help="The probability that one sample's certificate holds, "
                 "where its bounds were estimated."),
    click.option("--seed", type=int, metavar="S", default=0, show_default=True,
                 help="Of the random projections; choose it before seeing results."),
)  # fmt: skip

overwrite_option = click.option("--overwrite", is_flag=True, help="Replace files that exist; without it they stay.")

output_options = _gather(
    "output",
    OutputOptions,
    click.option("--json", type=_PATH, help="Write the results here, also every 30 seconds while running."),
    click.option("--csv", type=_PATH, help="Write one line a sample here."),
    overwrite_option,
    click.option("--resume", is_flag=True, help="Go on from what the --json file already holds."),
    click.option("--quiet", is_flag=True, help="No progress and no table."),
)  # fmt: skip

balls_option = click.option(
    "--balls", is_flag=True,
    help="Carry Euclidean balls around the clean values through the network too: tighter over l2 balls, and slower.",
)  # fmt: skip

slopes_option = click.option(
    "--slopes", type=click.Choice(get_args(SlopePolicy)), default="adaptive", show_default=True,
    help="Slopes of undecided ReLUs: the thesis' u / (u - l); 0 or 1; or, where those prove nothing, the best that a "
    "search finds, which takes some seconds a sample.",
)  # fmt: skip
