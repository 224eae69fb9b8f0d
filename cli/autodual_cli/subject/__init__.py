"""What a command works on: the network, ready to be compiled, and the data that fits it."""
