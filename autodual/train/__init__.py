"""Losses over a dual network, and what training them takes."""

from autodual.train.cascade import uncertified
from autodual.train.robust_loss import robust_loss

__all__ = ["robust_loss", "uncertified"]
