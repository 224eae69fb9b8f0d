"""What rows cost, how many fit at once, and what the backward pass computes again rather than keeps."""
