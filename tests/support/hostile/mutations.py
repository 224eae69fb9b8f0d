"""Random mutations of honest files: cut at a boundary of parts, bits flipped, numbers replaced, pieces repeated."""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from support.hostile.torch_files import unzipped, zipped

_CLAIMS = (-1, 0, 2, 1000, 10**9, 2**31 - 1, 2**31, 2**32 - 1, 2**62)
_JSON = (None, [], {}, "x", -1, 0, 2**31, 2**70, 1.5, 1e300, True, [[[[1]]]], "9" * 5000)


def mutations(data: bytes, seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """`count` mutations of an honest file, each with a description; random, but fixed by `seed`."""
    chance = random.Random(seed)
    kinds = _kinds(data)
    for number in range(count):
        kind, mutate = kinds[number % len(kinds)]
        yield f"{kind} ({seed}, {number})", mutate(data, chance)


def _kinds(data: bytes) -> list[tuple[str, Callable[[bytes, random.Random], bytes]]]:
    kinds = [("cut", _cut), ("bits", _bits), ("a claim", _claim), ("a piece twice", _repeated), ("zeros", _zeros)]
    if data.startswith(b"PK"):
        # Most changes of an archive only break its checksums, so change its entries too, with correct checksums.
        return [*kinds, *((f"{name} within", _within(mutate)) for name, mutate in kinds * 2)]
    return kinds


def _boundaries(data: bytes) -> list[int]:
    """Positions where parts of a file begin: zip signatures, fields of pickles and headers, brackets in texts."""
    marks = [match.start() for match in re.finditer(rb"PK[\x01-\x08]|\x80\x02|q[\x00-\xff]|[{}\[\],:\n]", data)]
    return [0, *marks, *range(0, min(len(data), 256), 4), len(data)]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: max(0, chance.choice(_boundaries(data)) + chance.choice((-1, 0, 0, 1)))]


def _bits(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8)) if data else 0):
        changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _claim(data: bytes, chance: random.Random) -> bytes:
    """Replace a number: digits in a text, or one, two, four or eight bytes at a boundary."""
    digits = list(re.finditer(rb"(?<![\w.])\d{1,9}(?![\w.])", data))
    claim = chance.choice(_CLAIMS)
    if digits and chance.random() < 0.5:
        place = chance.choice(digits)
        return data[: place.start()] + str(claim).encode() + data[place.end() :]
    width = chance.choice((1, 2, 4, 8))
    start = chance.choice(_boundaries(data))
    number = (claim % 2 ** (8 * width)).to_bytes(width, chance.choice(("little", "big")))
    return data[:start] + number + data[start + width :]


def _repeated(data: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.choices(_boundaries(data), k=2))
    return data[:end] + data[start:end] * chance.choice((1, 1, 20)) + data[end:]


def _zeros(data: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.choices(_boundaries(data), k=2))
    end = min(end, start + 64)
    return data[:start] + bytes(end - start) + data[end:]


def _within(mutate: Callable[[bytes, random.Random], bytes]) -> Callable[[bytes, random.Random], bytes]:
    """The same change inside one entry of an archive; checksums are recomputed."""

    def change(data: bytes, chance: random.Random) -> bytes:
        entries = unzipped(data)
        # Prefer entries with structure to entries that hold only numbers.
        names = [name for name in entries for _ in range(4 if name.endswith((".pkl", ".json", ".npy")) else 1)]
        name = chance.choice(names)
        content = entries[name]
        entries[name] = _edited(content, chance) if name.endswith(".json") else mutate(content, chance)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            method = archive.infolist()[0].compress_type
        return zipped(entries, method)

    return change


def _edited(text: bytes, chance: random.Random) -> bytes:
    """JSON with one of its values replaced."""
    value = json.loads(text)
    places = list(_places(value))
    if places:
        holder, key = chance.choice(places)
        holder[key] = chance.choice(_JSON)
    return json.dumps(value).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from _places(item)
