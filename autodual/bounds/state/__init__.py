"""What one bound computation knows of each node: layer, interval, rounding debt; and bytes that gradients keep."""
