"""Hostile files of every format: what each claims is not what it holds, or is more than anybody could mean."""
