"""The documentation site: `sphinx-build -W docs build/site` (`pip install -e '.[docs]'`), without a network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import autodual

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]

project = "autodual"
author = project_copyright = "the autodual authors"
release = version = autodual.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["results/*", "gallery/GALLERY_HEADER.rst"]
html_theme = "furo"
html_title = "autodual"

myst_heading_anchors = 4

# Docstrings are written like the pages: `this` is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "imported-members": True, "show-inheritance": True}
napoleon_numpy_docstring = False
napoleon_use_rtype = False

sphinx_gallery_conf: dict[str, Any] = {
    "examples_dirs": str(ROOT / "examples" / "gallery"),
    "gallery_dirs": "gallery",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": float("inf"),
    "write_computation_times": False,
}


def setup(app: Sphinx) -> None:
    """Docstrings write |z| for a magnitude, which reStructuredText would take for a substitution."""

    def escape(app: Sphinx, what: str, name: str, found: object, options: object, lines: list[str]) -> None:
        for place, line in enumerate(lines):
            parts = re.split(r"(`+[^`]*`+)", line)
            parts[::2] = (part.replace("|", "\\|") for part in parts[::2])
            lines[place] = "".join(parts)

    app.connect("autodoc-process-docstring", escape)
