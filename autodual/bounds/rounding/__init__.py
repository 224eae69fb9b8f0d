"""Upper bounds of rounding error, and the arithmetic that they assume."""
