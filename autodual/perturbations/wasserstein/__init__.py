"""Wasserstein balls: images made of a sample by moving a little of its mass between neighbouring pixels."""
