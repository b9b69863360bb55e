"""Events that many read at once: one frame of bytes for all of them, and no task for any of them. No I/O of its own.

A reader that does not take what it is sent is given nothing more until it does, and then the newest frame alone: what
waits for one is one frame at most.
"""

import asyncio
from typing import Protocol

AT_ONCE = 100
"""Readers that are written to before others have their turn on the loop: some 0.4 ms."""


class Reader(Protocol):
    """A connection that follows a feed."""

    def take(self, frame: bytes) -> None:
        """Send this frame, or, if the client takes nothing now, the newest one once it does."""
        ...


class Feed:
    """The newest frame, and who reads it."""

    def __init__(self) -> None:
        self.frame = b""
        """The newest event as it is sent, a chunk of HTTP's chunked coding; empty before the first event."""
        self._readers: set[Reader] = set()
        self._spreading: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many read."""
        return len(self._readers)

    def join(self, reader: Reader) -> None:
        """Send the newest frame, and each that follows."""
        self._readers.add(reader)
        if self.frame:
            reader.take(self.frame)

    def leave(self, reader: Reader) -> None:
        """Send it nothing more."""
        self._readers.discard(reader)

    def tell(self, event: bytes) -> None:
        """This is what is so now."""
        self.frame = chunk(event)
        if self._spreading is None and self._readers:
            self._spreading = asyncio.get_running_loop().create_task(self._spread())

    async def _spread(self) -> None:
        sent = b""
        try:
            while sent is not self.frame:
                sent = self.frame
                for number, reader in enumerate(tuple(self._readers), start=1):
                    if reader in self._readers:
                        reader.take(self.frame)
                    if not number % AT_ONCE:
                        await asyncio.sleep(0)
        finally:
            self._spreading = None


def chunk(data: bytes) -> bytes:
    """A chunk of HTTP's chunked coding; of nothing, the last one."""
    return b"%x\r\n%s\r\n" % (len(data), data)
