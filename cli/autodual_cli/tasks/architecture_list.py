"""What `autodual architectures` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from autodual.architectures import ARCHITECTURES, PRINTED_SIZES, NetworkSize, architecture_size
from autodual.architectures.sizes import CIFAR10, MNIST

#: The sizes that the thesis trains, and for others an example.
_SHOWN = {
    "wrn:DEPTH-WIDTH": ("wrn:28-10", "wrn:34-10"),
    "wide:K": tuple(f"wide:{size}" for size in (1, 2, 4, 8, 16)),
    "wide-128:K": ("wide-128:8", "wide-128:16"),
    "deep:K": tuple(f"deep:{size}" for size in (1, 2, 3)),
    "six-layer:K-UNITS": ("six-layer:16-512", "six-layer:24-256"),
    "seven-layer:K": ("seven-layer:64",),
    "shallow:K": ("shallow:500",),
    "mlp:K": ("mlp:100",),
}
_HEADS = ("network", "samples", "hidden units", "parameters", "printed: units", "parameters", "")


def list_architectures(names: Sequence[str], shapes: Sequence[tuple[int, ...]], classes: int, batch_norm: bool) -> None:
    """Print a line for each network and shape, and what the networks are.

    Raises:
        InvalidInputError: a name is unknown, or its network is not for samples of such a shape.
    """
    lines: list[tuple[str, ...]] = [_HEADS]
    for name in names or _all_names():
        lines.extend(_line(name, shape, classes, batch_norm) for shape in shapes or (MNIST, CIFAR10))
    widths = [max(map(len, column)) for column in zip(*lines)]
    for name, samples, *numbers, remark in lines:
        cells = [name.ljust(widths[0]), samples.ljust(widths[1])]
        cells += [number.rjust(width) for number, width in zip(numbers, widths[2:])]
        click.echo("  ".join([*cells, remark]).rstrip())
    if not names:
        click.echo()
        for name, architecture in ARCHITECTURES.items():
            click.echo(f"{name}: {architecture.words}")


def _all_names() -> Iterator[str]:
    for name in ARCHITECTURES:
        yield from _SHOWN.get(name, (name,))


def _line(name: str, shape: tuple[int, ...], classes: int, batch_norm: bool) -> tuple[str, ...]:
    size = architecture_size(name, shape, classes, batch_norm=batch_norm)
    printed = None if batch_norm or classes != 10 else PRINTED_SIZES.get((name, shape))
    theirs, remark = ((), "") if printed is None else (_numbers(printed.size), printed.remark)
    return (name, ",".join(map(str, shape)), *_numbers(size), *(theirs or ("–", "–")), remark)


def _numbers(size: NetworkSize) -> tuple[str, str]:
    return f"{size.units:,}", f"{size.parameters:,}"
