"""How iCalendar (RFC 5545) writes values and lines. Pure.

Written here and not by a library: an entry is twenty lines, and the library takes 500 µs for them, more than all else
that an order costs on the event loop.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime

_FOLDED_AT = 75
"""Bytes of a line; the blank that a following one begins with is one of them."""


def utc(moment: datetime) -> str:
    """A time: `20270605T173000Z`, which every calendar shows in its owner's zone."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def when(name: str, moment: date | datetime) -> str:
    """The line of a property that is a time, or a whole day."""
    return f"{name}:{utc(moment)}" if isinstance(moment, datetime) else f"{name};VALUE=DATE:{moment:%Y%m%d}"


def text(value: str) -> str:
    """A text, which can't end its line: what has a meaning is escaped."""
    value = value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return value.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\n")


def content(lines: Iterable[str]) -> bytes:
    """The file of these lines."""
    return b"".join(b"%s\r\n" % _folded(line.encode()) for line in lines)


def _folded(line: bytes) -> bytes:
    """In lines of at most 75 bytes, none of which begins within a character."""
    if len(line) <= _FOLDED_AT:
        return line
    parts: list[bytes] = []
    room = _FOLDED_AT
    while len(line) > room:
        end = room
        while line[end] & 0xC0 == 0x80:  # within a character of UTF-8
            end -= 1
        parts.append(line[:end])
        line, room = line[end:], _FOLDED_AT - 1
    return b"\r\n ".join((*parts, line))
