"""Ids: prefixed, ordered by time (UUIDv7, RFC 9562), and derivable where an effect must be one effect.

A derived id is how two deliveries of one fact, or two requests with one idempotency key, come to
name the same thing without asking each other.
"""

import re
from collections.abc import Sequence
from hashlib import blake2b
from typing import Annotated

import msgspec

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$(?!\n)"
"""What a caller may choose as an id, and what a path segment must look like to be looked up at all.

Python's `$` also stands before a newline at the end: hence `(?!\\n)`, which every dialect of patterns reads alike.
"""

Id = Annotated[
    str,
    msgspec.Meta(
        pattern=ID_PATTERN, description="1 to 64 letters, digits, `.`, `_`, `-`; the first is a letter or digit"
    ),
]

VARIANT = 0x2 << 62
"""What the second half of a UUID has in its top two bits; the other 62 are random."""


def time_ordered(prefix: str, *, milliseconds: int, random_bits: int) -> str:
    """`order-0199c0ffee…`: a UUIDv7 in hex. `random_bits` are 74 bits, fresh for each id."""
    begin = beginning(milliseconds=milliseconds, random_bits=random_bits >> 62 & 0xFFF)
    return f"{prefix}-{begin}{VARIANT | random_bits & (1 << 62) - 1:016x}"


def beginning(*, milliseconds: int, random_bits: int) -> str:
    """The first half of a UUIDv7 in hex: its time, its version, and 12 random bits."""
    return f"{milliseconds:012x}7{random_bits:03x}"


def same_as(prefix: str, other: str) -> str:
    """The id of the one `prefix` that belongs to `other`: `reservation-0199…` for `order-0199…`."""
    return f"{prefix}-{other.partition('-')[2] or other}"


def from_key(prefix: str, *parts: str) -> str:
    """The id that these parts always give (128 bits of BLAKE2b)."""
    return f"{prefix}-{_digest(parts, 16)}"


_UUID_7 = re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-7[0-9A-Fa-f]{3}-[89ABab][0-9A-Fa-f]{3}-[0-9A-Fa-f]{12}")


def from_key_in_order(prefix: str, *parts: str) -> str:
    """As `from_key`; where the last part is a UUIDv7, the id begins with its 48 bits of time.

    So what was asked for at about the same time is stored side by side, as it is under ids of `time_ordered`. The other
    80 bits are BLAKE2b's, of all parts.
    """
    if _UUID_7.fullmatch(parts[-1]) is None:
        return from_key(prefix, *parts)
    time = parts[-1][:8] + parts[-1][9:13]
    return f"{prefix}-{time.lower()}{_digest(parts, 10)}"


def _digest(parts: Sequence[str], size: int) -> str:
    """The BLAKE2b hash of the parts, `size` bytes long, in hex."""
    return blake2b("\x1f".join(parts).encode(), digest_size=size).hexdigest()
