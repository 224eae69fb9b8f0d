"""`render_evaluation`: the page of a trained network's evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autodual.report.document import Row
from autodual.report.numbers import NONE, finite, number, plural
from autodual.report.page.charts import Chart, line_plot
from autodual.report.page.gallery import Panel
from autodual.report.page.origin import Origin, origin_of
from autodual.report.page.parts import Tile
from autodual.report.page.pictures import picture
from autodual.report.page.rendering import render

_TILES = (
    ("clean_error", "clean error", "the network as it is", "other"),
    ("fgsm_error", "FGSM error", "after one step along the gradient: at least this much", "open"),
    ("pgd_error", "PGD error", "after projected gradient descent: at least this much", "bad"),
    ("certified_error", "certified error", "proved: no perturbation in the set does worse", "good"),
)
# The errors that training logs, in the colours of the tiles.
_CURVES = {"clean": "other", "attacked": "bad", "certified": "good"}


@dataclass(frozen=True)
class SitePlot:
    """A chart, and the layer that it is about or None."""

    site: str | None
    chart: Chart


@dataclass(frozen=True)
class ChartSection:
    """Charts below one heading, with a note on how to read them."""

    heading: str
    note: str
    parts: Sequence[SitePlot]


@dataclass(frozen=True)
class EvaluationPage:
    """All that `templates/evaluation.html` shows."""

    title: str
    subject: str
    tiles: Sequence[Tile]
    claim: str
    proves: bool
    methods: Sequence[tuple[str, str]]
    charts: Sequence[ChartSection]
    filters: Sequence[Panel]
    origin: Origin


def render_evaluation(document: Row, source: tuple[str, str]) -> str:
    """The page, as text of a complete HTML file.

    Args:
        document: as `evaluation_document` returns it.
        source: the name of the document's file, and the SHA-256 of its bytes.
    """
    settings, summary = document["settings"], document["summary"]
    samples = plural(summary["count"], "sample")
    sections = [_training(document["log"]), _radii(document["radii"]), _activations(document["activation_sets"])]
    page = EvaluationPage(
        title=f"Evaluation of {settings.get('model', 'a network')}",
        subject=f"{samples}, {settings.get('data_description') or settings.get('data')}; {settings.get('set')}",
        tiles=[Tile(_percent(summary.get(key)), words, note, colour) for key, words, note, colour in _TILES],
        claim=f"{summary['certified']:,} of the {samples} are certified: their class is the label, and no point of the "
        "set around them gets another class.",
        proves=bool(summary["certified"]),
        methods=[("bound", str(settings.get("method"))), ("attack", str(settings.get("attack")))],
        charts=[section for section in sections if section is not None],
        filters=_filters(document["filters"]),
        origin=origin_of(document, source),
    )
    return render("evaluation.html", page)


def _percent(value: Any) -> str:
    return NONE if finite(value) is None else f"{100 * value:.2f} %"


def _section(heading: str, note: str, charts: Sequence[tuple[str | None, Chart | None]]) -> ChartSection:
    return ChartSection(heading, note, [SitePlot(site, chart) for site, chart in charts if chart is not None])


def _training(log: Sequence[Row]) -> ChartSection | None:
    if not log:
        return None
    series = {
        name: [(row["epoch"], row[f"{name}_error"]) for row in log if row.get(f"{name}_error") is not None]
        for name in _CURVES
    }
    loss = {"loss": [(row["epoch"], row["loss"]) for row in log if row.get("loss") is not None]}
    note = (
        "On held-out samples, at the full radius of the set, on a logarithmic scale with zero at its lower end; the "
        "loss is that of the radius of its epoch."
    )
    errors = line_plot(series, "epoch", "error", colours=list(_CURVES.values()), logarithmic=True)
    return _section("Training", note, [(None, errors), (None, line_plot(loss, "epoch", "training loss"))])


def _radii(radii: Sequence[float]) -> ChartSection | None:
    """The share of samples with at least a given certified radius; `radii` are in ascending order."""
    if not radii:
        return None
    share = [(radius, (len(radii) - place) / len(radii)) for place, radius in enumerate(radii)]
    note = (
        f"The share of {plural(len(radii), 'sample')} whose certified radius is at least so large, as a function of "
        f"the radius; the median is {number(radii[len(radii) // 2])}. Misclassified samples have the radius 0."
    )
    drawn = line_plot({"certified": [(0.0, 1.0), *share]}, "radius", "share of samples")
    return _section("Certified radii", note, [(None, drawn)])


def _activations(sets: dict[str, dict[str, Sequence[int]]]) -> ChartSection | None:
    if not sets:
        return None
    note = (
        "How many samples have which part of a layer's units inactive (u ≤ 0), active (ℓ ≥ 0) or undecided over the "
        "set. Only undecided units make the bound loose."
    )
    charts = []
    for site, histograms in sets.items():
        series = {
            name: [((place + 0.5) / len(counts), float(count)) for place, count in enumerate(counts)]
            for name, counts in histograms.items()
        }
        charts.append((site, line_plot(series, "part of the layer's units", "samples")))
    return _section("Activation sets", note, charts)


def _filters(filters: list[Any] | None) -> list[Panel]:
    """Pictures of the filters that are images."""
    drawn = enumerate(map(picture, _shades(filters or [])))
    return [Panel(f"filter {place}", address) for place, address in drawn if address is not None]


def _shades(filters: list[Any]) -> list[Any]:
    """Weights scaled to [0, 1], zero in the middle, the same for all filters."""
    largest = max((abs(value) for value in _numbers(filters)), default=0.0) or 1.0

    def shade(thing: Any) -> Any:
        return [shade(part) for part in thing] if isinstance(thing, list) else 0.5 + 0.5 * thing / largest

    return [shade(one) for one in filters]


def _numbers(thing: Any) -> list[float]:
    return [value for part in thing for value in _numbers(part)] if isinstance(thing, list) else [thing]
