"""`render_evaluation`: the page of a trained network's evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from autodual.report.document import Row
from autodual.report.numbers import in_percent, number, plural
from autodual.report.page.chart_section import ChartSection, chart_section
from autodual.report.page.charts import line_plot
from autodual.report.page.gallery import Panel
from autodual.report.page.origin import Origin, origin_of
from autodual.report.page.parts import Alarm, Tile
from autodual.report.page.pictures import picture
from autodual.report.page.rendering import render
from autodual.report.page.training_sections import collapse_alarm, training_sections

_TILES = (
    ("clean_error", "clean error", "the network as it is", "other"),
    ("fgsm_error", "FGSM error", "after one step along the gradient: at least this much", "open"),
    ("pgd_error", "PGD error", "after projected gradient descent: at least this much", "bad"),
    ("certified_error", "certified error", "proved: no perturbation in the set does worse", "good"),
)


@dataclass(frozen=True)
class EvaluationPage:
    """All that `templates/evaluation.html` shows."""

    title: str
    subject: str
    alarm: Alarm | None
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
    log = document["log"]
    sections = [
        *training_sections(log, document["learning"]),
        _radii(document["radii"]),
        _activations(document["activation_sets"]),
    ]
    page = EvaluationPage(
        title=f"Evaluation of {settings.get('model', 'a network')}",
        subject=f"{samples}, {settings.get('data_description') or settings.get('data')}; {settings.get('set')}",
        alarm=collapse_alarm(log),
        tiles=[
            Tile(in_percent(summary[key]), words, note, colour)
            for key, words, note, colour in _TILES
            if summary.get(key) is not None
        ],
        claim=_claim(summary),
        proves=bool(summary["certified"]),
        methods=[("bound", str(settings.get("method"))), ("attack", str(settings.get("attack")))],
        charts=[section for section in sections if section is not None],
        filters=_filters(document["filters"]),
        origin=origin_of(document, source),
    )
    return render("evaluation.html", page)


def _claim(summary: Row) -> str:
    """What was proved, in one sentence."""
    if summary["certified"] is None:
        return "Nothing is proved: no sample was certified, since only attacks were asked for."
    samples = plural(summary["count"], "sample")
    return (
        f"{summary['certified']:,} of the {samples} are certified: their class is the label, and no point of the set "
        "around them gets another class."
    )


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
    return chart_section("Certified radii", note, [(None, drawn)])


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
    return chart_section("Activation sets", note, charts)


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
