"""What all tests of the documents share."""

from support.registries import restored_registries

__all__ = ["restored_registries"]
