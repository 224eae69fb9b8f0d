"""The command line of autodual; nothing in `autodual` imports it, and it loads PyTorch only when a command runs."""
