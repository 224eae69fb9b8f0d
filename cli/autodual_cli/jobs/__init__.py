"""The work of the commands that go through samples: one loop, and one job a command."""
