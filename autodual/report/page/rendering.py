"""Filling templates: text is escaped, and signs that HTML cannot hold are replaced.

The templates are the files in `templates/`. Code makes plain values of dataclasses for them; all markup is theirs.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, page: object) -> str:
    """The text of a template of this package, filled with the fields of `page`.

    Args:
        template: the file's name in `templates/`.
        page: what the template calls `page`.

    Raises:
        jinja2.UndefinedError: the template asks for a field that does not exist.
    """
    return _environment().get_template(template).render(page=page)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("autodual.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _printable(value: Any) -> Any:
    """The value as text without lone surrogates and control characters; markup stays as it is.

    File names that are not UTF-8 contain surrogates.
    """
    if hasattr(value, "__html__"):
        return value
    text = str(value).encode("utf-8", "replace").decode("utf-8")
    return "".join(sign if sign.isprintable() or sign in "\n\t " else "\ufffd" for sign in text)
