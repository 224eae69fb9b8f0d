"""Recorded runs, run again and compared with what their documents say."""
