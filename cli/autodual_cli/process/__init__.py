"""The process that a command runs in: its signals, its standard streams, the line that it was called by."""
