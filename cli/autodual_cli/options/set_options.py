"""The perturbation set that the options describe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from autodual.errors import InvalidInputError
from autodual.perturbations import PerturbationSet, choose_set
from autodual.perturbations.box_of_files import BoxOfFiles
from autodual_cli.options.option_groups import BallOptions
from autodual_cli.options.set_command import SET_OPTIONS, plain_options
from autodual_cli.output.provenance import file_record

#: The set that documents name by its files.
BOX = "box"


def ball_maker(options: BallOptions) -> Callable[[float | torch.Tensor | None], PerturbationSet]:
    """From a radius, or None, to the set of the chosen norm and domain, all in raw input units.

    Raises:
        InvalidInputError: the domain is empty.
    """
    domain = None
    if options.domain is not None:
        lower, upper = options.domain
        if lower > upper:
            raise InvalidInputError(f"--domain {lower:g},{upper:g} is empty: its lower end lies above its upper end.")
        domain = (lower, upper)
    chosen = choose_set(options.norm, options.set_options)
    return lambda radius: chosen.make(radius, domain)


def ball_settings(options: BallOptions, radius: float, ball: PerturbationSet) -> dict[str, Any]:
    """The ball as documents have it, from which it can be made again."""
    return {"set": ball.describe(), "eps": radius, **shape_settings(options)}


def shape_settings(options: BallOptions) -> dict[str, Any]:
    """The shape of a set as documents have it; parameters of its own are named only where it has some."""
    if options.norm == BOX:  # documents name its files instead, see `box_settings`
        return {"norm": None, "domain": None}
    domain = None if options.domain is None else list(options.domain)
    own = plain_options(options.set_options)
    return {"norm": options.norm, "domain": domain, **({SET_OPTIONS: own} if own else {})}


def box_settings(made: PerturbationSet) -> dict[str, Any]:
    """The files of a set and the SHA-256 of what they hold, as documents have them; None for other sets."""
    boxes = made if isinstance(made, BoxOfFiles) else None
    return {"box": None if boxes is None else boxes.files, "box_sha256": None if boxes is None else boxes.sha256}


def set_files(made: PerturbationSet) -> list[dict[str, Any]]:
    """The files of a set, as provenance records them."""
    paths = made.paths if isinstance(made, BoxOfFiles) else ()
    return [file_record(role, path) for role, path in zip(("box, lower", "box, upper"), paths)]
