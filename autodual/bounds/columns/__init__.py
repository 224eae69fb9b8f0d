"""Forward mode: columns from the inputs and relaxed units to a node, and when that is the cheaper way."""
