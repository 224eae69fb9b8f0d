"""How a network was trained, as sections of its page: errors and loss, learning curves, and a collapse."""

from __future__ import annotations

from collections.abc import Sequence

from autodual.report.document import Row
from autodual.report.learning_summary import CAPTION, CURVES, measured
from autodual.report.numbers import finite, in_percent
from autodual.report.page.chart_section import ChartSection, chart_section
from autodual.report.page.charts import Chart, grouped_bars, line_plot
from autodual.report.page.parts import Alarm, Cell, Grid, grid

# The errors that training logs, in the colours of the tiles.
_ERRORS = {"clean": "other", "attacked": "bad", "certified": "good"}
_SETS = {"training": "good", "validation": "open", "test": "bad"}
_MINIBATCH, _DELTA = "minibatch_robust_error", "delta_"


def training_sections(log: Sequence[Row], learning: Sequence[Row]) -> list[ChartSection]:
    """The sections of what was logged.

    Args:
        log: a run's log, one row an epoch, with None for what was not measured.
        learning: as `learning_summary` returns it.
    """
    sections = [_errors(log), _curves(log, learning), _collapse(log)] if log else []
    return [section for section in sections if section is not None]


def collapse_alarm(log: Sequence[Row]) -> Alarm | None:
    """A box about the epoch in which the network collapsed, or None."""
    collapsed = [row for row in log if row.get("collapsed")]
    if not collapsed:
        return None
    epoch = int(collapsed[0]["epoch"])
    return Alarm(
        f"Catastrophic overfitting in epoch {epoch}",
        [
            f"The robust error of a training minibatch rose to {in_percent(collapsed[0].get(_MINIBATCH))} within that "
            f"epoch. The weights of epoch {epoch - 1} were restored, and training ended."
        ],
    )


def _errors(log: Sequence[Row]) -> ChartSection:
    series = {name: measured(log, f"{name}_error") for name in _ERRORS}
    note = (
        "On held-out samples, at the full radius of the set, on a logarithmic scale with zero at its lower end; the "
        "loss is that of the radius of its epoch."
    )
    errors = line_plot(series, "epoch", "error", colours=list(_ERRORS.values()), logarithmic=True)
    loss = line_plot({"loss": measured(log, "loss")}, "epoch", "training loss")
    return chart_section("Training", note, [(None, errors), (None, loss)])


def _curves(log: Sequence[Row], learning: Sequence[Row]) -> ChartSection | None:
    """Robust and clean errors of all sets, where a run measured more than those of held-out samples."""
    if not any(row["set"] != "validation" for row in learning):
        return None
    charts = [(None, _curve(log, error)) for error in ("robust", "clean")]
    return chart_section("Learning curves", CAPTION, charts, _table(learning))


def _curve(log: Sequence[Row], error: str) -> Chart | None:
    series = {name: measured(log, CURVES[name, error]) for name in _SETS}
    return line_plot(series, "epoch", f"{error} error", colours=list(_SETS.values()))


def _table(learning: Sequence[Row]) -> Grid:
    columns = ("set", "error", "best", "epoch", "chosen", "epoch", "final", "difference")
    return grid(columns, [_line(row) for row in learning])


def _line(row: Row) -> Sequence[object]:
    def share(name: str, more: str = "") -> Cell:
        return Cell(in_percent(row[name]) + more, numeric=True)

    spread = finite(row["final_std"])
    final = share("final", "" if spread is None else f" ± {100 * spread:.2f}")
    best, chosen = (share("best"), row["best_epoch"]), (share("chosen"), row["chosen_epoch"])
    return row["set"], row["error"], *best, *chosen, final, share("difference")


def _collapse(log: Sequence[Row]) -> ChartSection | None:
    """The robust error of the watched minibatches, and how large the attack's changes were before and after."""
    errors = measured(log, _MINIBATCH)
    if not errors:
        return None
    failed = [row for row in log if row.get("collapsed")]
    healthy = [row for row in log if not row.get("collapsed")]
    shown = {f"epoch {int(row['epoch'])}": _shares(row) for row in healthy[-1:]}
    shown.update({f"epoch {int(row['epoch'])}, collapsed": _shares(row) for row in failed[:1]})
    note = (
        "Robust error of the minibatch that each epoch began with, and how far the attack changed its features, in "
        "units of the radius. Against a healthy network most changes are as large as the radius, or zero where the "
        "domain leaves no room. Against one that has collapsed many lie in between: its loss is curved within the set."
    )
    curve = line_plot({"minibatch": errors}, "epoch", "robust error", colours=["bad"])
    histogram = grouped_bars(shown, ["good", "bad"], "|δ| / ε", "share of features")
    return chart_section("Catastrophic overfitting", note, [(None, curve), (None, histogram)])


def _shares(row: Row) -> list[float]:
    return [finite(value) or 0.0 for name, value in row.items() if name.startswith(_DELTA)]
