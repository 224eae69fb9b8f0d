"""Chapter 3's tables: training on the dual bound, single networks and cascades."""

from __future__ import annotations

import time
from typing import Any

import torch

import autodual
from autodual.architectures import network_size
from autodual.passes import RandomProjection, default_pipeline
from thesis_tables import chapter_3_bounds, chapter_3_curves, chapter_3_plane
from thesis_tables.chapter_3_settings import ball, section_3_3, section_3_5
from thesis_tables.chapter_3_training import cascade_errors, errors, trained
from thesis_tables.networks import SHAPES, model_of
from thesis_tables.size import Size
from thesis_tables.table import Experiment, NotRun, Row, Table, Values, by_row

#: Steps in an epoch of batches of 50.
_STEPS = {"mnist": 1200, "cifar10": 1000}


def table_3_1(row: Row, size: Size) -> Values:
    """Standard and robust training."""
    cascade, more = trained(row, size, lambda one: section_3_3(one, size, robust=row["robust"]))
    return {**errors(cascade.stages[0], row, ball(row), size), **more}


def table_3_2(row: Row, size: Size) -> Values:
    """One hidden layer, trained on the dual bound, which the thesis calls the LP bound; no SDP is solved here."""
    if row["method"] != "LP-NN":
        raise NotRun("training by a semidefinite program")
    cascade, more = trained(row, size, lambda one: section_3_3(one, size))
    found = errors(cascade.stages[0], row, ball(row), size)
    return {"pgd_error": found["pgd_error"], "lp_bound_error": found["robust_bound_error"], **more}


def table_3_3(row: Row, size: Size) -> Values:
    """The same network at several radii."""
    cascade, more = trained(row, size, lambda one: section_3_3(one, size))
    return {**errors(cascade.stages[0], row, ball(row), size), **more}


def table_3_4(row: Row, size: Size) -> Values:
    """Units, parameters, and the time of an epoch, from that of three steps on random images after one to warm up."""
    model = model_of(row)
    found: dict[str, Any] = dict(zip(("hidden_units", "parameters"), _sizes(row)))
    if found["parameters"] > size.largest:
        return {**found, "seconds_per_epoch": None}
    x, y = torch.rand(50, *SHAPES[row["dataset"]]), torch.arange(50) % 10
    dual = autodual.compile_dual(model, x[:1], passes=[*default_pipeline(), RandomProjection(50)])
    times = []
    for _ in range(4):
        start = time.process_time()
        autodual.robust_loss(dual, x, y, autodual.LinfBall(0.01)).backward()
        times.append(time.process_time() - start)
    return {**found, "seconds_per_epoch": _STEPS[row["dataset"]] * min(times[1:])}


def _sizes(row: Row) -> tuple[int, int]:
    size = network_size(model_of(row), SHAPES[row["dataset"]])
    return size.units, size.parameters


def tables_3_5_and_3_7(row: Row, size: Size) -> Values:
    """Single networks and cascades; the single network is the first stage of the cascade."""
    projection = 50 if "50" in row["bounds_in_training"] else 0
    stages = 1 if row["cascade_robust_error"] is None else size.stages
    cascade, more = trained(row, size, lambda one: section_3_5(one, size, projection=projection, stages=stages))
    found = errors(cascade.stages[0], row, ball(row), size)
    single = {"single_robust_error": found["robust_bound_error"], "single_clean_error": found["clean_error"]}
    return {**single, **(cascade_errors(cascade, row, size) if stages > 1 else {}), **more}


def table_3_6(row: Row, size: Size) -> Values:
    """Wide and deep networks."""
    cascade, more = trained(row, size, lambda one: section_3_5(one, size))
    return {**errors(cascade.stages[0], row, ball(row), size), **more}


FIGURES: dict[str, Table] = {**chapter_3_plane.FIGURES, **chapter_3_bounds.FIGURES, **chapter_3_curves.FIGURES}

EXPERIMENTS: dict[str, Experiment] = {
    "3.1": by_row(table_3_1),
    "3.2": by_row(table_3_2),
    "3.3": by_row(table_3_3),
    "3.4": by_row(table_3_4),
    "3.5": by_row(tables_3_5_and_3_7),
    "3.6": by_row(table_3_6),
    "3.7": by_row(tables_3_5_and_3_7),
    **chapter_3_plane.EXPERIMENTS,
    **chapter_3_bounds.EXPERIMENTS,
    **chapter_3_curves.EXPERIMENTS,
}
