"""Chapter 3's figures about trained networks: radii, tightness of bounds, filters, and active units."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

import autodual
from autodual.certification.activation_sets import activation_sets
from autodual.network import DualNetwork
from thesis_tables.chapter_3_settings import ball, section_3_3
from thesis_tables.chapter_3_training import errors, possible, trained
from thesis_tables.networks import model_of
from thesis_tables.size import Size
from thesis_tables.table import Experiment, NotRun, Row, Table, Values

#: Samples of Figure 3.7 and of Figure 3.8, whose radii and linear programs take seconds each.
_RADII, _PROGRAMS = 100, 20

#: Measures a network: lines of labels and values.
Measure = Callable[[DualNetwork, Row, Size], Iterator[tuple[Mapping[str, Any], Values]]]


def by_network(measure: Measure) -> Experiment:
    """The experiment that measures each network that a row's `training` names: trained at the row's radius, or random.

    Rows of one training with other labels share the network.
    """

    def experiment(table: Table, size: Size) -> Iterator[tuple[Row, Values]]:
        seen: set[str] = set()
        for row in table.wanted(size.only):
            if row["training"] in seen:
                continue
            seen.add(row["training"])
            try:
                dual, more = _network(row, size)
            except NotRun as reason:
                yield row, {"not_run": str(reason)}
                continue
            for labels, values in measure(dual, row, size):
                wanted = {**row, **labels}
                known = [one for one in table.rows if all(one[key] == wanted[key] for key in table.labels)]
                yield known[0] if known else {key: wanted[key] for key in table.labels}, {**values, **more}

    return experiment


def _network(row: Row, size: Size) -> tuple[DualNetwork, dict[str, Any]]:
    if row["training"] == "random":
        torch.manual_seed(0)
        model = model_of(possible(row, size)).eval()
        return autodual.compile_dual(model), {}
    cascade, more = trained(row, size, lambda one: section_3_3(one, size, robust=row["training"] == "robust"))
    return cascade.stages[0], more


def figure_3_7(dual: DualNetwork, row: Row, size: Size) -> Iterator[tuple[Mapping[str, Any], Values]]:
    """Certified radii around the classes that the network gives, in order; and which are right."""
    radii, right = [], []
    for x, y in size.batches(row["dataset"], 20)[: -(-min(size.test, _RADII) // 20)]:
        classes = dual.outputs(x).argmax(1)
        radii.append(autodual.certified_radius(dual, x, autodual.LinfBall, classes, slopes="shared"))
        right.append(classes == y)
    found, correct = torch.cat(radii), torch.cat(right)
    order = found.argsort()
    yield (
        {},
        {
            "median_radius_of_correct": _median(found[correct]),
            "median_radius_of_wrong": _median(found[~correct]),
            "largest_radius": float(found.max()),
            "radii": found[order].tolist(),
            "correct": correct[order].tolist(),
        },
    )


def _median(values: Tensor) -> float | None:
    return float(values.median()) if len(values) else None


def figure_3_8(dual: DualNetwork, row: Row, size: Size) -> Iterator[tuple[Mapping[str, Any], Values]]:
    """The least dual bound of each sample's margins, and the value of the linear program over the same intervals."""
    x, y = size.batches(row["dataset"], min(size.test, _PROGRAMS))[0]
    region, programs = ball(row), []
    with torch.no_grad():
        margins = dual.margins(x, y, region, slopes="shared", inner="dual", last="dual").double()
    lower, wrong = margins.masked_fill(functional.one_hot(y, margins.shape[1]).bool(), math.inf).min(1)
    units = torch.eye(margins.shape[1])
    for sample, label, other in zip(x.split(1), y, wrong):
        objective = (units[label] - units[other])[None]
        programs.append(autodual.lp_bounds(dual, sample, region, objective, slopes="shared")[0, 0])
    exact = torch.stack(programs)
    gap = exact - lower
    yield (
        {},
        {
            "mean_program": float(exact.mean()),
            "mean_dual_bound": float(lower.mean()),
            "mean_gap": float(gap.mean()),
            "largest_gap": float(gap.max()),
            "gap_to_spread": float(gap.mean() / exact.std(correction=0).clamp_min(1e-9)),
            "program": exact.tolist(),
            "dual": lower.tolist(),
        },
    )


def filters(dual: DualNetwork, row: Row, size: Size) -> Iterator[tuple[Mapping[str, Any], Values]]:
    """Sparsity of a convolution's filters; weights below a thousandth of the layer's largest count as zero."""
    layers = [module.weight.detach() for module in dual.model.modules() if isinstance(module, nn.Conv2d)]
    weight = layers[row["layer"] - 1]
    zero = weight.abs() <= 1e-3 * weight.abs().max()
    shares = {"zero_weights": 100 * float(zero.double().mean()), "zero_filters": int(zero.flatten(1).all(1).sum())}
    yield {}, {**shares, "filters": len(weight)}


def figure_3_11(dual: DualNetwork, row: Row, size: Size) -> Iterator[tuple[Mapping[str, Any], Values]]:
    """Shares of inactive, active and undecided units of each layer, on average over training samples."""
    x = size.dataset(f"{row['dataset']}:train").x[: min(size.test, 200)].float()
    found: dict[str, list[Tensor]] = {}
    for part in x.split(20):
        for name, shares in activation_sets(dual, part, ball(row), slopes="shared").items():
            found.setdefault(name, []).append(shares)
    for number, parts in enumerate(found.values(), start=1):
        shares = 100 * torch.cat(parts).mean(0)
        yield {"layer": number}, dict(zip(("inactive", "active", "undecided"), shares.tolist()))


def radii(table: Table, size: Size) -> Iterator[tuple[Row, Values]]:
    """Attacked and certified error against the radius, of a standard and a robust network."""
    for robust in (False, True):
        of = [row for row in table.wanted(size.only) if row["robust"] is robust]
        try:
            cascade, _ = trained(
                {**table.rows[0], "eps": 0.1}, size, lambda one, robust=robust: section_3_3(one, size, robust=robust)
            )
        except NotRun as reason:
            yield from ((row, {"not_run": str(reason)}) for row in of)
            continue
        for row in of:
            yield row, errors(cascade.stages[0], row, ball(row), size)


_MNIST = {"dataset": "mnist", "model": "small", "eps": 0.1, "norm": "linf"}
_LABELS = ("dataset", "model", "training", "eps", "norm")
_STANDARD, _ROBUST, _RANDOM = ({**_MNIST, "training": training} for training in ("standard", "robust", "random"))

FIGURES = {
    "figure-3.7": Table(
        "figure-3.7",
        "certified radii of standard and robust training, in order",
        "3.3.1",
        _LABELS,
        ("median_radius_of_correct", "median_radius_of_wrong", "largest_radius"),
        [{**_STANDARD, "median_radius_of_correct": 0.007}, {**_ROBUST, "median_radius_of_correct": 0.1}],
    ),
    "figure-3.8": Table(
        "figure-3.8",
        "least values of linear programs and dual bounds, for the class of the least bound",
        "3.3.1",
        _LABELS,
        ("mean_program", "mean_dual_bound", "mean_gap", "largest_gap", "gap_to_spread"),
        [_ROBUST, _RANDOM, _STANDARD],
    ),
    **{
        name: Table(
            name,
            f"sparsity of the filters of layer {layer}, of which the figure has pictures after robust training",
            "3.3.2",
            (*_LABELS, "layer"),
            ("zero_weights", "zero_filters", "filters"),
            [{**row, "layer": layer} for row in (_ROBUST, _STANDARD)],
        )
        for name, layer in (("figure-3.9", 1), ("figure-3.10", 2))
    },
    "figure-3.11": Table(
        "figure-3.11",
        "shares of units by their bounds on training samples, in percent",
        "3.3.2",
        (*_LABELS, "layer"),
        ("inactive", "active", "undecided"),
        [{**_ROBUST, "layer": 1}, {**_ROBUST, "layer": 2}, {**_ROBUST, "layer": 3, "inactive": 90}],
    ),
    "radii": Table(
        "radii",
        "errors against the radius, of standard training and of robust training at 0.1; no figure of the thesis",
        "3.3.1",
        ("dataset", "model", "norm", "robust", "eps"),
        ("clean_error", "fgsm_error", "pgd_error", "robust_bound_error"),
        [
            {**_MNIST, "robust": robust, "eps": eps}
            for robust in (False, True)
            for eps in (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2)
        ],
    ),
}

EXPERIMENTS: dict[str, Experiment] = {
    "figure-3.7": by_network(figure_3_7),
    "figure-3.8": by_network(figure_3_8),
    "figure-3.9": by_network(filters),
    "figure-3.10": by_network(filters),
    "figure-3.11": by_network(figure_3_11),
    "radii": radii,
}
