"""`autodual verify`: does any input of a VNN-LIB property's set violate it?"""

from __future__ import annotations

import time
from pathlib import Path

import click

from autodual.policies import Effort
from autodual_cli.options.effort_options import effort_option
from autodual_cli.options.exact_options import exact_options, exact_seconds
from autodual_cli.options.option_groups import overwrite_option
from autodual_cli.options.quantities import Memory, Number, Shape

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="[MODEL] PROPERTY", type=_PATH)
@click.option("--network", "networks", multiple=True, metavar="NAME=MODEL", help="The model of a network that PROPERTY "
              "declares, in place of MODEL; once for each network that is not declared equal to another.")  # fmt: skip
@click.option("--timeout", type=Number(minimum=0.0), metavar="SECONDS", help="Give up after this time.")
@click.option("--input-shape", type=Shape(), help="The shape of one sample, where it cannot be inferred.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option("--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True,
              help="The arithmetic of the first bounds; float64 decides the rest.")  # fmt: skip
@click.option("--memory", type=Memory(), help="Memory budget of the bounds, such as 1GiB.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random points that attacks start from.")
@click.option("--no-attack", is_flag=True, help="Only bound; then sat is only found where bounds point to it.")
@effort_option("How far to go: fast (attacks, bounds over intervals), normal (then dual bounds), high (then 10 seconds "
               "of branch and bound) or complete (until it is decided).", "complete")  # fmt: skip
@exact_options("case of the property")
@click.option("--bracket", is_flag=True, help="Attack what was proved, too; a contradiction stops with its evidence.")
@click.option("--serialise-assignments", "assignments", type=_PATH, metavar="FOLDER", help="Write a counterexample's "
              "variables there, as files of ONNX tensors, instead of printing it.")  # fmt: skip
@click.option("--json", type=_PATH, help="Write the verdict here.")
@overwrite_option
@click.option("--quiet", is_flag=True, help="Nothing on standard error.")
def verify(
    files: tuple[Path, ...],
    networks: tuple[str, ...],
    timeout: float | None,
    input_shape: tuple[int, ...] | None,
    device: str,
    dtype: str,
    memory: int | None,
    seed: int,
    no_attack: bool,
    exact: bool,
    time_limit: float | None,
    effort: Effort,
    bracket: bool,
    assignments: Path | None,
    json: Path | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Verify MODEL against the VNN-LIB file PROPERTY: is there an input that violates it?

    The first line of the output is the verdict: sat (a counterexample follows), unsat (there is none, proved), unknown
    or timeout. With --network NAME=MODEL, as VNN-LIB 2.0 calls verifiers, the last one reads timed-out, and a
    counterexample names the declared variables.
    """
    start = time.monotonic()
    standard, seconds = bool(networks), exact_seconds(exact, time_limit)
    if bracket and no_attack:
        raise click.UsageError("--bracket compares proofs with attacks; leave out --no-attack.")
    if len(files) != (1 if standard else 2):
        raise click.UsageError("Give either MODEL PROPERTY, or PROPERTY --network NAME=MODEL.")
    models: dict[str | None, Path] = _named(networks) if standard else {None: files[0]}
    from autodual_cli.tasks.property_verdict import Request, run_verification

    run_verification(
        Request(
            models=models,
            goal=files[-1],
            timeout=timeout,
            start=start,
            input_shape=input_shape,
            device=device,
            dtype=dtype,
            memory=memory,
            seed=seed,
            attack=not no_attack,
            exact_seconds=seconds,
            effort=effort,
            bracket=bracket,
            json=json,
            overwrite=overwrite,
            quiet=quiet,
            standard=standard,
            assignments=assignments,
        )
    )


def _named(networks: tuple[str, ...]) -> dict[str | None, Path]:
    """The models by the names of their networks."""
    found: dict[str | None, Path] = {}
    for text in networks:
        name, _, path = text.partition("=")
        if not (name and path):
            raise click.UsageError(f"--network wants NAME=MODEL, not '{text}'.")
        if name in found:
            raise click.UsageError(f"--network gives '{name}' two models; give one.")
        found[name] = Path(path)
    return found
