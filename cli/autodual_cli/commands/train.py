"""`autodual train`: train a network to be certified, by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from autodual_cli.options.option_groups import TrainOptions
from autodual_cli.options.quantities import Memory, Norm, Number, Numbers
from autodual_cli.options.set_command import NormOption, SetCommand

_PATH = click.Path(path_type=Path)


# fmt: off
@click.command(cls=SetCommand)
@click.option("--recipe", type=_PATH, help="A .toml or .yaml file of options; those below override it.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override any option of the recipe, such "
              "as loss.kappa=0.25; repeatable.")
@click.option("--data", help="What to train on: mnist:train, … or a .npz file.")
@click.option("--data-dir", type=_PATH, help="Folder of the data set's files.")
@click.option("--arch", help="small, medium, large, resnet, resnet-identity, pooling, preact18, wrn:DEPTH-WIDTH, "
              "wide:K, wide-128:K, deep:K, six-layer:K-UNITS, seven-layer:K, shallow:K, mlp:K, or PLACE:FACTORY, which "
              "runs that code; a recipe that names code needs it here, too.")
@click.option("--batch-norm", is_flag=True, default=None, help="With a batch norm after each layer but the last.")
@click.option("--loss", help="With bounds: robust, interval, crown-ibp, sabr or mtl-ibp. At an attack's points: pgd, "
              "fgsm, r-fgsm, n-fgsm, free, trades, msd or adversarial. Or clean.")
@click.option("--eps", type=Number(minimum=0.0), help="Radius of the ball to be robust over, such as 0.1 or 2/255.")
@click.option("--norm", cls=NormOption, type=Norm())
@click.option("--domain", type=Numbers(count=2), help="Intersect the ball with LOWER,UPPER, such as 0,1.")
@click.option("--mean", type=Numbers(), help="The network is fed (x - mean) / std: one number, or one a channel.")
@click.option("--std", type=Numbers(positive=True), help="See --mean.")
@click.option("--projection", type=click.IntRange(min=0), metavar="R", help="Estimate dual bounds inside the network "
              "from R random projections; 0: exact.")
@click.option("--epochs", type=click.IntRange(min=1))
@click.option("--batch-size", type=click.IntRange(min=1))
@click.option("--learning-rate", type=Number(minimum=0.0), help="The same at all times; a recipe can schedule it.")
@click.option("--seed", type=int)
@click.option("--memory", type=Memory(), help="Memory budget of the bounds, such as 1GiB.")
@click.option("--cascade", type=click.IntRange(min=1), metavar="STAGES", help="Train that many networks, each on what "
              "no earlier one certifies.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option("--threads", type=click.IntRange(min=1), help="Processor threads; by default all.")
@click.option("--output", required=True, type=_PATH, metavar="RUN", help="Folder of the run: checkpoint, log, network.")
@click.option("--overwrite", is_flag=True, help="Replace the run that --output holds.")
@click.option("--resume", is_flag=True, help="Go on with the run in --output, by its own recipe. Code that builds its "
              "network is run only if --arch names it again.")
@click.option("--save-seconds", type=Number(minimum=1.0), default=60.0, show_default=True, help="Between checkpoints.")
@click.option("--tensorboard", is_flag=True, help="Also write TensorBoard's files.")
@click.option("--quiet", is_flag=True, help="No progress and no figures.")
@click.pass_context
def train(context: click.Context, **values: Any) -> None:
    """Train a network to be certified; `autodual certify RUN/network.pt` then takes what was best."""
    from autodual_cli.tasks.training_run import run_training

    status = run_training(TrainOptions(**values))
    if status:
        context.exit(status)
# fmt: on
