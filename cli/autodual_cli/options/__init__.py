"""Options that several commands share, and how what was typed becomes values."""
