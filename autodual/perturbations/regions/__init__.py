"""What a set placed around samples offers to bounds and to attacks."""
