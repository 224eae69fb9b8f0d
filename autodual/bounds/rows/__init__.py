"""Backward mode: rows of cotangents from a node to the inputs."""
