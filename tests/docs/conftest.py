"""Fixtures for all tests of the documents."""

from support.registries import restored_registries

__all__ = ["restored_registries"]
