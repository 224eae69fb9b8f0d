"""The thesis' tables: what it published, and what is measured here beside it."""
