"""Hostile files of every format: each claims contents that it does not have, or absurdly large ones."""
