"""When Python's garbage collector runs in the process of a command."""

from __future__ import annotations

import gc
from typing import Any

# More objects than PyTorch and autodual make while they are loaded, and few beside what a run makes.
_LOADED = 400_000


def postpone_collection() -> None:
    """Let the first collection wait until the modules are loaded, and never look through what was loaded.

    Searching modules for garbage while they are loaded takes a tenth of the time of a short command.
    """
    usual = gc.get_threshold()

    def once(phase: str, _info: dict[str, Any]) -> None:
        if phase == "start":
            gc.callbacks.remove(once)
            gc.freeze()
            gc.set_threshold(*usual)

    gc.callbacks.append(once)
    gc.set_threshold(_LOADED, *usual[1:])
