"""Charts as plain values: places in pixels and words as shown; `templates/charts.html` draws them as SVG."""

from autodual.report.page.charts.chart import Chart
from autodual.report.page.charts.grouped_bars import grouped_bars
from autodual.report.page.charts.histogram import beyond, histogram
from autodual.report.page.charts.line_plot import line_plot

__all__ = ["Chart", "beyond", "grouped_bars", "histogram", "line_plot"]
