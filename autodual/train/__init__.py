"""Training: losses of bounds, recipes, and the training loop."""

from autodual.train.cascade_training import uncertified
from autodual.train.robust_loss import robust_loss

__all__ = ["robust_loss", "uncertified"]
