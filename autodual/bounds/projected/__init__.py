"""Bounds whose norms are estimated from random projections."""
