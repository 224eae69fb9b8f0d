"""The installed version of autodual."""

from __future__ import annotations


def version() -> str:
    """The version in the installed distribution's metadata; a checkout that was never installed has none."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        return metadata("autodual")["Version"]
    except PackageNotFoundError:
        return "unknown (not installed)"
