"""State dicts of wrapped networks: matches names that a wrapper has prefixed with those of the network itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

_WRAPPERS = frozenset({"module", "_orig_mod"})
"""The attributes in which DataParallel and torch.compile keep what they wrap, at any depth of a network."""


def renamed(state: Mapping[str, Tensor], names: Iterable[str]) -> dict[str, Tensor]:
    """The tensors under the network's own names, which match once the words of wrappers are dropped from both.

    A first word that all names share, such as the `model.` of a training framework, is also tried. The renaming that
    matches most of the network's names is chosen, or none if the names as they are match as many.
    """
    wanted = {_unwrapped(name): name for name in names}
    best = dict(state)
    for short in (_unwrapped, _without_first) if len({_first(name) for name in state}) == 1 else (_unwrapped,):
        found = {wanted.get(short(name), short(name)): value for name, value in state.items()}
        if len(found) == len(state) and _known(found, wanted) > _known(best, wanted):
            best = found
    return best


def _known(state: Mapping[str, Tensor], wanted: Mapping[str, str]) -> int:
    return len(state.keys() & set(wanted.values()))


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _first(name: str) -> str:
    return _unwrapped(name).partition(".")[0]


def _without_first(name: str) -> str:
    return _unwrapped(name).partition(".")[2]
