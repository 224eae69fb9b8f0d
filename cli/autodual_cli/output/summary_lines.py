"""How numbers and summaries are put before people."""

from __future__ import annotations

import sys
from typing import Any

import click

from autodual.report import format_table, units


def show(title: str, entries: list[tuple[str, str]]) -> None:
    """Print a table to standard output: ruled for a terminal, plain for a pipe."""
    click.echo(format_table(title, entries, terminal=sys.stdout.isatty()))


def percent(value: float | None) -> str:
    """A fraction as a percentage; without one, that it is not known."""
    return "not known" if value is None else f"{100 * value:.2f} %"


def context_entries(settings: dict[str, Any]) -> list[tuple[str, str]]:
    """What every table says first: the network, the data, the set with its clipping, and the units."""
    # A certificate's random projections are too large for float32.
    arithmetic = settings["arithmetic"] if settings.get("projection") is None else "float64"
    return [
        ("network", f"{settings['model']} (sha256 {settings['model_sha256'][:12]})"),
        ("data", f"{settings['data']}: {settings['data_description']}"),
        ("perturbation set", settings["set"]),
        *(("passes, beside the usual ones", text) for text in settings.get("passes", ())),
        ("units", units(settings["mean"], settings["std"])),
        ("arithmetic", f"{arithmetic} on {settings['device']}"),
    ]


def slopes_words(settings: dict[str, Any]) -> str:
    """How bounds choose lines, and whether balls take part."""
    if settings.get("effort"):
        return f"by the effort {settings['effort']}"
    return f"{settings['slopes']}{', in balls' if settings.get('balls') else ''}"


def time_entry(summary: dict[str, Any]) -> tuple[str, str]:
    """Seconds of work, and per sample."""
    return "time", f"{summary['seconds']:.1f} s ({summary['seconds'] / max(summary['count'], 1):.3g} s a sample)"
