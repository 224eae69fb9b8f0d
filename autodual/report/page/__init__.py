"""A run's document as one page of HTML that needs nothing else: no network, no scripts, no other files."""

from autodual.report.page.counterexamples import counterexample_files, save_counterexamples
from autodual.report.page.html import render_page

__all__ = ["counterexample_files", "render_page", "save_counterexamples"]
