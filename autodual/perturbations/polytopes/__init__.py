"""Boxes cut by half-spaces."""
