"""What all tests of extensions share."""

from support.registries import restored_registries

__all__ = ["restored_registries"]
