"""Walking over all parts of a protocol buffer, whatever they are nested in, before and after it is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx

_FIXED = {1: 8, 5: 4}
"""Bytes of a field of each wire type that has a fixed length."""
_NESTED = 2


def parts(root: Any) -> Iterator[Any]:
    """A message and all messages inside it, in any field; what is inside tensors is left out."""
    waiting = [root]
    while waiting:
        message = waiting.pop()
        yield message
        if message.DESCRIPTOR.name == "TensorProto":
            continue
        for field, value in message.ListFields():
            if field.message_type is not None:
                waiting.extend((value,) if hasattr(value, "ListFields") else value)


def tensors(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    """All tensors of a model: weights, attributes, and those in branches, functions and sparse tensors."""
    return [part for part in parts(model) if part.DESCRIPTOR.name == "TensorProto"]


def is_text(message: Any) -> bool:
    """Whether all texts of a message are text; those that are not are read as bytes."""
    return all(
        isinstance(text, str)
        for field, value in message.ListFields()
        if field.type == field.TYPE_STRING
        for text in ((value,) if isinstance(value, (str, bytes)) else value)
    )


def exceeds(data: bytes, descriptor: Any, limit: int) -> bool:
    """Whether the bytes of a message hold more than `limit` fields, counted without reading them into objects.

    Bytes that are not a protocol buffer are counted as far as they can be followed.
    """
    if len(data) <= 2 * limit:  # a field takes two bytes at least
        return False
    found = 0
    waiting = [(0, len(data), descriptor)]
    while waiting and found <= limit:
        place, end, kind = waiting.pop()
        inner = {number: field.message_type for number, field in kind.fields_by_number.items() if field.message_type}
        while place < end and found <= limit:
            found += 1
            tag, place = _number(data, place, end)
            wire = tag & 7
            if wire == _NESTED:
                length, place = _number(data, place, end)
                if tag >> 3 in inner:
                    waiting.append((place, min(place + length, end), inner[tag >> 3]))
                place += length
            elif wire in _FIXED:
                place += _FIXED[wire]
            elif wire == 0:
                _, place = _number(data, place, end)
            else:
                break
    return found > limit


def _number(data: bytes, place: int, end: int) -> tuple[int, int]:
    """A number of variable length, and the place after it."""
    result = shift = 0
    while place < end and shift < 70:
        byte = data[place]
        place += 1
        if byte < 128:
            return result | byte << shift, place
        result |= (byte & 127) << shift
        shift += 7
    return result, place
