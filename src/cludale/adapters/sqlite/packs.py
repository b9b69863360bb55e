"""What one row of a packed table holds: many records that are written once. No connection, no statements.

Most of an order's events is the same names and ids again and again: eight of them take 6.6 KB one by one, and 1.1 KB
when they are compressed with their neighbours.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from cludale.adapters.sqlite.connection import StoreFailed
from cludale.runtime.planning import Row

LEAST = 64
"""Records that are packed together, at least. Until there are so many they lie as they came, batch by batch."""
MOST = 256
"""How many may go into one pack before a second one is begun: all of a pack is unpacked for one record in it."""
LEVEL = 1
"""Of zlib: the higher ones take twice the time for a tenth less."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[Any, ...]]).decode


def loose(rows: Sequence[Row]) -> bytes:
    """These as they are."""
    return _encode(rows)


def packed(rows: Sequence[Row]) -> bytes:
    """These compressed together. Other threads run Python meanwhile."""
    return zlib.compress(_encode(rows), LEVEL)


def unpacked(n: int, body: bytes, *, is_packed: bool) -> list[Row]:
    """What a row holds, `n` being its number. Raises StoreFailed for one that is damaged."""
    try:
        return _decode(zlib.decompress(body) if is_packed else body)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise StoreFailed(f"the records up to {n} are damaged: {error}") from error


def stretches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """In parts of about one size, each of LEAST records or more if there are so many."""
    count = max(1, len(rows) // MOST)
    for part in range(count):
        yield rows[len(rows) * part // count : len(rows) * (part + 1) // count]


_LETTERS = {"event": b"e", "order": b"o", "answer": b"a", "concert": b"c"}
_NUMBER, _MARKED = len("0" * 32), len("0" * 32 + "." + "0" * 12)


def short(id: str) -> str | bytes:
    """An id as we make them in 17 bytes, or 23 with its mark (see `kernel.ids`); any other as it is."""
    name, _, digits = id.partition("-")
    letter = _LETTERS.get(name)
    if letter is None:
        return id
    size = len(digits)
    if size == _MARKED and digits[_NUMBER] == ".":
        digits = digits[:_NUMBER] + digits[_NUMBER + 1 :]
    elif size != _NUMBER:
        return id
    try:
        number = bytes.fromhex(digits)
    except ValueError:
        return id
    return letter + number if number.hex() == digits else id
