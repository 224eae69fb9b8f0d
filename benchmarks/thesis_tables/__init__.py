"""The thesis' tables: published values, and values measured here."""
