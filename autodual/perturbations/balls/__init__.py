"""Balls of every norm but l∞, which are boxes: as users write them, and placed around samples, with a domain or not."""
