"""Names of architectures in files of earlier versions, some of which now stand for the thesis' own networks."""

from __future__ import annotations

_RENAMED = {"wide": "wide-128", "resnet": "resnet-identity"}


def present_name(arch: str) -> str:
    """The name today of an architecture that an earlier version's file calls `arch`.

    Network files of version 1, and runs of the same time, have `wide:K` for the network with 128 hidden units whatever
    K is, and `resnet` for one without the thesis' first convolution and with identities as shortcuts.

    Args:
        arch: the name in the file; one that has not changed, or names code, is returned as it is.

    Example:
        >>> from autodual.architectures import present_name
        >>> present_name("wide:8"), present_name("small")
        ('wide-128:8', 'small')
    """
    stem, colon, rest = arch.partition(":")
    return f"{_RENAMED.get(stem, stem)}{colon}{rest}"
