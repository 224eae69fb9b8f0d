"""Charts and a table below one heading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autodual.report.page.charts import Chart
from autodual.report.page.parts import Grid


@dataclass(frozen=True)
class SitePlot:
    """A chart, and the layer that it is about or None."""

    site: str | None
    chart: Chart


@dataclass(frozen=True)
class ChartSection:
    """Charts below one heading, with a note on how to read them; then a table, if there is one."""

    heading: str
    note: str
    parts: Sequence[SitePlot]
    grid: Grid | None = None


def chart_section(
    heading: str, note: str, charts: Sequence[tuple[str | None, Chart | None]], grid: Grid | None = None
) -> ChartSection:
    """A section of the charts that could be drawn."""
    return ChartSection(heading, note, [SitePlot(site, chart) for site, chart in charts if chart is not None], grid)
