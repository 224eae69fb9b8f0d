"""State dicts of wrapped networks: names that a wrapper has made longer, matched with those of the network itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

_WRAPPERS = frozenset({"module", "_orig_mod"})
"""What DataParallel and its like, and torch.compile, call what they wrap, at any depth of a network."""


def renamed(state: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """The tensors under the names of the network where those fit once wrappers are left out of both; else as they are.

    Also without a word that stands before all names, such as the `model.` of a training framework.
    """
    names = list(names)
    if state.keys() == set(names):
        return dict(state)
    shortenings = [_unwrapped]
    if len({_unwrapped(name).partition(".")[0] for name in state}) == 1:
        shortenings.append(_without_first)
    for short in shortenings:
        found = {short(name): value for name, value in state.items()}
        wanted = {_unwrapped(name): name for name in names}
        if found.keys() == wanted.keys() and len(found) == len(state) and len(wanted) == len(names):
            return {wanted[name]: value for name, value in found.items()}
    return dict(state)


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _without_first(name: str) -> str:
    return _unwrapped(name).partition(".")[2]
