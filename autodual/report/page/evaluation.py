"""The page of a trained network's evaluation."""

from __future__ import annotations

from typing import Any

from autodual.report.document import Row
from autodual.report.page.curves import curves
from autodual.report.page.markup import Markup, join, tag
from autodual.report.page.numbers import NONE, finite, number, plural
from autodual.report.page.pictures import picture
from autodual.report.page.skeleton import whole_page
from autodual.report.page.tables import pairs, provenance_table, settings_table

_TILES = (
    ("clean_error", "clean error", "the network as it is", "other"),
    ("fgsm_error", "FGSM error", "after one step along the gradient: at least this much", "open"),
    ("pgd_error", "PGD error", "after projected gradient descent: at least this much", "bad"),
    ("certified_error", "certified error", "proved: no perturbation in the set does worse", "good"),
)
# The errors that training logs, in the colours of the tiles.
_CURVES = {"clean": "other", "attacked": "bad", "certified": "good"}


def render_evaluation(document: Row, source: tuple[str, str]) -> str:
    """The page, as text of a complete HTML file; `source` is the document's name and its SHA-256."""
    title = f"Evaluation of {document['settings'].get('model', 'a network')}"
    sections = [
        _head(document, title),
        _training(document),
        _radii(document),
        _activations(document),
        _filters(document),
        tag("h2", "Where it comes from"),
        provenance_table(document, source),
        tag("details", tag("summary", "All settings"), settings_table(document)),
    ]
    return whole_page(title, sections)


def _head(document: Row, title: str) -> Markup:
    settings, summary = document["settings"], document["summary"]
    tiles = [
        tag(
            "div", tag("b", _percent(summary.get(key))), tag("span", words), tag("small", note), class_=f"tile {colour}"
        )
        for key, words, note, colour in _TILES
    ]
    data = settings.get("data_description") or settings.get("data")
    subject = f"{plural(summary['count'], 'sample')}, {data}; {settings.get('set')}"
    claim = (
        f"{summary['certified']:,} of the {plural(summary['count'], 'sample')} are certified: their class is the "
        "label, and no point of the set around them gets another."
    )
    style = "claim" if summary["certified"] else "claim nothing"
    return join(
        [
            tag("h1", title),
            tag("p", subject, class_="faint"),
            tag("div", join(tiles), class_="tiles"),
            tag("p", claim, class_=style),
            pairs([("bound", settings.get("method")), ("attack", settings.get("attack"))]),
        ]
    )


def _percent(value: Any) -> str:
    return NONE if finite(value) is None else f"{100 * value:.2f} %"


def _training(document: Row) -> Markup:
    log = document["log"]
    if not log:
        return Markup()
    series = {
        name: [(row["epoch"], row[f"{name}_error"]) for row in log if row.get(f"{name}_error") is not None]
        for name in _CURVES
    }
    loss = {"loss": [(row["epoch"], row["loss"]) for row in log if row.get("loss") is not None]}
    note = (
        "On held-out samples, at the full radius of the set, on a logarithmic scale with zero at its lower end; the "
        "loss is that of the radius of its epoch."
    )
    errors = curves(series, "epoch", "error", colours=list(_CURVES.values()), logarithmic=True)
    drawn = [errors, curves(loss, "epoch", "training loss")]
    return join([tag("h2", "Training"), tag("p", note, class_="faint"), *drawn])


def _radii(document: Row) -> Markup:
    radii = document["radii"]
    if not radii:
        return Markup()
    share = [(radius, (len(radii) - place) / len(radii)) for place, radius in enumerate(radii)]
    middle = radii[len(radii) // 2]
    note = (
        f"The share of {plural(len(radii), 'sample')} whose certified radius is at least so large, as a function of "
        f"the radius; the median is {number(middle)}. Misclassified samples have the radius 0."
    )
    drawn = curves({"certified": [(0.0, 1.0), *share]}, "radius", "share of samples")
    return join([tag("h2", "Certified radii"), tag("p", note, class_="faint"), drawn])


def _activations(document: Row) -> Markup:
    sets = document["activation_sets"]
    if not sets:
        return Markup()
    note = (
        "How many samples have which part of a layer's units inactive (u ≤ 0), active (ℓ ≥ 0) or undecided over the "
        "set. Only undecided units make the bound loose."
    )
    parts: list[Markup] = [tag("h2", "Activation sets"), tag("p", note, class_="faint")]
    for site, histograms in sets.items():
        series = {
            name: [((place + 0.5) / len(counts), float(count)) for place, count in enumerate(counts)]
            for name, counts in histograms.items()
        }
        parts += [tag("p", tag("code", site)), curves(series, "part of the layer's units", "samples")]
    return join(parts)


def _filters(document: Row) -> Markup:
    filters = document["filters"]
    if not filters:
        return Markup()
    drawn = {place: address for place, shades in enumerate(_shades(filters)) if (address := picture(shades))}
    if not drawn:
        return Markup()
    figures = [
        tag("figure", tag("img", src=address, alt=f"filter {place}"), tag("figcaption", f"filter {place}"))
        for place, address in drawn.items()
    ]
    note = (
        "Weights of the first convolution, from the most negative (black) to the most positive (white); grey is zero."
    )
    return join(
        [tag("h2", "First-layer filters"), tag("p", note, class_="faint"), tag("div", join(figures), class_="gallery")]
    )


def _shades(filters: list[Any]) -> list[Any]:
    """Weights scaled to [0, 1], zero in the middle, the same for all filters."""
    largest = max((abs(value) for value in _numbers(filters)), default=0.0) or 1.0

    def shade(thing: Any) -> Any:
        return [shade(part) for part in thing] if isinstance(thing, list) else 0.5 + 0.5 * thing / largest

    return [shade(one) for one in filters]


def _numbers(thing: Any) -> list[float]:
    return [value for part in thing for value in _numbers(part)] if isinstance(thing, list) else [thing]
