"""Losses over a dual network."""

from autodual.train.robust_loss import robust_loss

__all__ = ["robust_loss"]
