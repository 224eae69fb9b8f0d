"""Entry points of installed packages by group; nothing is imported, and damaged records are skipped."""

from __future__ import annotations

from importlib.metadata import Distribution, EntryPoint, distributions


def offered(group: str) -> list[EntryPoint]:
    """The entry points of a group, sorted by name.

    Args:
        group: such as `autodual.commands`.

    Example:
        >>> from autodual.extensions.entry_points import offered
        >>> offered("no.such.group")
        []
    """
    found = [offer for package in distributions() for offer in _of_package(package) if offer.group == group]
    return sorted((offer for offer in found if offer.name), key=lambda offer: offer.name)


def _of_package(package: Distribution) -> list[EntryPoint]:
    """The entry points of a package; none if its record cannot be read, so that other packages still work."""
    try:
        return list(package.entry_points)
    except Exception:
        return []
