"""A run's document as one page of HTML that needs nothing else: no network, no scripts, no other files."""

from autodual.report.page.counterexample_files import counterexample_files, save_counterexamples
from autodual.report.page.evaluation_page import render_evaluation
from autodual.report.page.run_page import render_page

__all__ = ["counterexample_files", "render_evaluation", "render_page", "save_counterexamples"]
