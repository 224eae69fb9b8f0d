"""Building HTML so that nothing unescaped can slip in: text is escaped, only `Markup` is taken as it is."""

from __future__ import annotations

from html import escape

# Elements without content; a closing tag would be an error.
_VOID = frozenset({"br", "img", "line", "meta", "path", "polyline", "rect"})


class Markup(str):
    """Text that already is HTML."""


def text(value: object) -> Markup:
    """Any value as HTML: escaped, quotes included, unless it is markup."""
    return value if isinstance(value, Markup) else Markup(escape(_printable(str(value)), quote=True))


def _printable(value: str) -> str:
    """Lone surrogates (a file name that is no UTF-8) and control characters, which no page may hold, become signs."""
    clean = value.encode("utf-8", "replace").decode("utf-8")
    return "".join(sign if sign.isprintable() or sign in "\n\t " else "\ufffd" for sign in clean)


def tag(element: str, /, *children: object, **attributes: object) -> Markup:
    """`<element attributes>children</element>`; attributes that are None are left out.

    Python's names stand for HTML's: `class_` for class, `stroke_width` for stroke-width.
    """
    present = {key: value for key, value in attributes.items() if value is not None}
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{text(value)}"' for key, value in present.items())
    if element in _VOID and not children:
        return Markup(f"<{element}{given}/>")
    return Markup(f"<{element}{given}>{''.join(map(text, children))}</{element}>")


def join(parts: list[Markup], between: str = "") -> Markup:
    """Markup one after the other."""
    return Markup(between.join(map(text, parts)))
