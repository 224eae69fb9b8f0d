"""Lines and multipliers that are searched for each row: ascent by adjoint values."""
