"""Norm balls as users write them, and the balls of finite order placed around samples (l∞ balls are boxes)."""
