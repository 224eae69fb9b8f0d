"""What all pages are made of: one file of HTML with its style inside, and tiles with one number each."""

from __future__ import annotations

from collections.abc import Sequence

from autodual.report.page.markup import Markup, join, tag
from autodual.report.page.style import STYLE


def whole_page(title: str, sections: Sequence[Markup]) -> str:
    """A complete HTML file; empty sections are left out."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        tag("style", Markup(STYLE)),
    )
    body = tag("body", tag("main", join([section for section in sections if section], "\n")))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def tile(figure: str, words: str, note: str, colour: str) -> Markup:
    """One number, what it is, and what that means; `colour` is a class of the style sheet."""
    return tag("div", tag("b", figure), tag("span", words), tag("small", note), class_=f"tile {colour}")
