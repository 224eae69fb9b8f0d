"""Fixtures for all tests of extensions."""

from support.registries import restored_registries

__all__ = ["restored_registries"]
