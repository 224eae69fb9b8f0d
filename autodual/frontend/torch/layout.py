"""Where the batch axis of a traced tensor is if not at axis 0: behind a sequence, or merged with attention heads."""

from __future__ import annotations

from dataclasses import dataclass

from autodual.ir import Node


@dataclass(frozen=True)
class Layout:
    """The batch axis has `after` axes behind it, and `outer` · batch · `inner` entries.

    One sample's shape has the axes before, then `outer` and `inner` where they are not 1, then the axes behind.
    """

    after: int
    outer: int = 1
    inner: int = 1

    @property
    def merged(self) -> tuple[int, ...]:
        """The extents of the sample's own axes that are merged with the batch axis."""
        return tuple(extent for extent in (self.outer, self.inner) if extent != 1)

    def place(self, node: Node) -> int:
        """Which axis of the traced tensor is the batch axis."""
        return len(node.shape) - len(self.merged) - self.after

    def sample_axis(self, axis: int, node: Node) -> int:
        """The axis of one sample that is axis `axis` of the traced tensor, which must not be the batch axis."""
        return axis if axis < self.place(node) else axis - 1 + len(self.merged)


@dataclass(frozen=True, eq=False)
class Displaced:
    """A value whose traced tensor does not have the batch axis in front."""

    node: Node
    layout: Layout


def placed(node: Node, layout: Layout) -> Node | Displaced:
    """The node with its layout; the node alone where the batch axis is in front."""
    usual = layout.after == len(node.shape) and not layout.merged
    return node if usual else Displaced(node, layout)


def layout_of(value: Node | Displaced) -> Layout:
    """The layout of a branch."""
    return value.layout if isinstance(value, Displaced) else Layout(len(value.shape))
