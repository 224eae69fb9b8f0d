"""Names of the hidden files that autodual keeps beside a file while writing it."""

from __future__ import annotations

import hashlib
import os

# File systems allow 255 bytes; endings take fewer than the remaining 55.
_LONGEST = 200


def own_name(name: str, ending: str) -> str:
    """The name of a hidden file that belongs to the file called `name`: `own_name("a.json", "lock")` is `.a.json.lock`.

    If `name` is too long for an ending, its SHA-256 takes its place.
    """
    encoded = os.fsencode(name)
    if len(encoded) > _LONGEST:
        name = hashlib.sha256(encoded).hexdigest()
    return f".{name}.{ending}"
