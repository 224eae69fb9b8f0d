"""What a set can be asked once it is placed around samples: by bounds, by attacks, and in the hot loops of both."""
