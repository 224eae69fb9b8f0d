"""Unpickling `torch.save` files with a fixed list of what they may construct."""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from autodual.errors import ModelFileError
from autodual.extensions.user_code import modules_from_here
from autodual.files.container import check_zip
from autodual.files.pickle_claims import check_claims, damaged

# Hostile bytes may make the unpickler fail anywhere; each of these errors means that the file is damaged.
_DAMAGED = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, NotImplementedError,
    OSError, RecursionError, RuntimeError, TypeError, ValueError,
)  # fmt: skip

# Names in a message.
_SHOWN = 4
# The attribute in which a wrapper keeps the network, by a word in the wrapper's name.
_WRAPPERS = {"DataParallel": "module", "TorchCompile": "_orig_mod"}


def load_restricted(name: str, data: bytes, allowed: Sequence[type] = ()) -> Any:
    """Unpickle `data` onto the CPU; it may construct only tensors, plain containers and the classes `allowed`.

    Raises:
        ModelFileError: the pickle needs other globals (the message names them), or is damaged.
        BudgetError: the pickle claims more than a file may.
    """
    if data.startswith(b"PK"):
        check_zip(name, data)
    check_claims(name, data)
    try:
        with torch.serialization.safe_globals(list(allowed)), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = _forbidden_globals(data, allowed) or _global_in(str(error))
        if wanted:
            raise ModelFileError(refusal(name, wanted)) from None
        if "Only persistent_load of storage is allowed" in str(error):
            raise ModelFileError(
                f"'{name}' is a whole model in the format of before PyTorch 1.6; save it again with a newer PyTorch, "
                "or accept the risk of executing its code with unsafe=True."
            ) from None
        raise ModelFileError(damaged(name)) from None
    except _DAMAGED:
        raise ModelFileError(damaged(name)) from None


def load_trusting(name: str, data: bytes) -> Any:
    """Unpickle `data` onto the CPU, executing whatever it asks for: only for files that the user trusts."""
    try:
        with modules_from_here():
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=False)
    except Exception as error:  # any code may have run, so anything may have been raised
        if isinstance(error, AttributeError) and "<module '__main__'" in str(error):
            raise ModelFileError(
                f"'{name}' cannot be unpickled, because its class was defined in the script that saved it "
                f"({error}); save the state dict, and pass factory='script.py:Class'."
            ) from error
        raise ModelFileError(f"'{name}' cannot be unpickled: {type(error).__name__}: {error}") from error


def refusal(name: str, wanted: Iterable[str]) -> str:
    """The sentence that names what a file would execute, and a remedy."""
    names = sorted(wanted)
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    wrapper = next((attribute for mark, attribute in _WRAPPERS.items() if any(mark in one for one in names)), None)
    inside = "" if wrapper is None else f"save the network inside, model.{wrapper}, or "
    return (
        f"'{name}' is refused because loading it would execute code of its own choice ({shown}); {inside}"
        "save its state dict and pass factory=, or accept the risk with unsafe=True."
    )


def _forbidden_globals(data: bytes, allowed: Sequence[type]) -> list[str]:
    try:
        with torch.serialization.safe_globals(list(allowed)):
            return torch.serialization.get_unsafe_globals_in_checkpoint(io.BytesIO(data))
    except (pickle.UnpicklingError, *_DAMAGED):
        return []


def _global_in(message: str) -> list[str]:
    """The global named in the unpickler's message, the only source for pickles from before PyTorch 1.6."""
    for marker in ("Unsupported global: GLOBAL ", "Trying to load unsupported GLOBAL "):
        _, found, rest = message.partition(marker)
        if found:
            return [rest.split()[0]]
    return []
