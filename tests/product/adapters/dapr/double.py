"""A double of a sidecar for what a real one can't be made to say: old versions, partial failures, broken answers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.listening import listening

Reply = tuple[int, bytes]


class SidecarDouble:
    """Answers each request as the test says, over a real socket."""

    def __init__(self, answer: Callable[[str, bytes], Reply]) -> None:
        self.port = 0
        self.answer = answer
        self.requests: list[tuple[str, bytes]] = []
        """Paths and bodies."""
        self.heads: list[bytes] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["SidecarDouble"]:
        async with listening(self._serve) as self.port:
            yield self

    def count(self, start: str) -> int:
        return sum(path.startswith(start) for path, _ in self.requests)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((int(h[15:]) for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:")), 0)
            body = await reader.readexactly(length)
            path = head.split()[1].decode()
            self.heads.append(head)
            self.requests.append((path, body))
            if path == "/v1.0/metadata":
                status, content = 200, b'{"components":[{"name":"events","type":"pubsub.jetstream"}]}'
                if self.answer("metadata", b"")[0] == 200:
                    content = self.answer("metadata", b"")[1]
            else:
                status, content = self.answer(path, body)
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(content), content))
            await writer.drain()
