"""The subcommands, one per file; importing them loads neither PyTorch nor NumPy."""
