"""Names of the hidden files that autodual keeps beside a file while it writes it."""

from __future__ import annotations

import hashlib
import os

# File systems allow 255 bytes; what is appended here is shorter than the rest.
_LONGEST = 200


def own_name(name: str, ending: str) -> str:
    """The name of a hidden file that belongs to the file called `name`: `own_name("a.json", "lock")` is `.a.json.lock`.

    Where `name` is so long that nothing can be appended, its SHA-256 stands for it.
    """
    encoded = os.fsencode(name)
    if len(encoded) > _LONGEST:
        name = hashlib.sha256(encoded).hexdigest()
    return f".{name}.{ending}"
