"""Hostile files of every format: each claims something it does not hold, or more than anybody could mean."""
