"""Idempotency keys of many buyers: a UUIDv7 each, as clients are told to send, made in the moment it is sent.

Requests are encoded once, with marks for what differs: the time, and the buyer's number.
"""

from time import time_ns
from typing import Final
from uuid import uuid4

NUMBER: Final = "########"
"""Stands for the buyer's number."""
_TIME: Final = "@@@@@@@@-@@@@"


def marked_key() -> str:
    """A key in which time and number are marks; the rest is of this run alone, so no two runs share a key."""
    random = uuid4().hex
    return f"{_TIME}-7{random[:3]}-8{random[3:6]}-{random[6:10]}{NUMBER}"


def of_buyer(request: bytes, number: int) -> bytes:
    """The request of this buyer, now."""
    milliseconds = f"{time_ns() // 1_000_000:012x}"
    timed = request.replace(_TIME.encode(), f"{milliseconds[:8]}-{milliseconds[8:]}".encode())
    return timed.replace(NUMBER.encode(), b"%08d" % number)
