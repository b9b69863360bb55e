"""A TCP proxy before the server, by which a replica loses it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Wire:
    """Passes bytes on, until told otherwise."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname, parts.port)
        self._url = url
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.is_down = False
        self.loses_next_answer_to: bytes | None = None
        """The request that holds this is passed on, its answer is not: the connection breaks in its place."""
        self.keeps_silent = False
        """In place of a broken connection there is none of it any more: nothing comes back."""
        self.lost = 0

    @property
    def url(self) -> str:
        """The server's address, through here."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return self._url.replace(f":{self._target[1]}/", f":{port}/")

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Break all connections, and take no more: to the server, who comes through here is dead."""
        assert self._server is not None
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Break all connections."""
        for writer in self._open:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_down:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._open |= {writer, far_writer}
        losing = asyncio.Event()
        there = asyncio.create_task(self._there(reader, far_writer, losing))
        back = asyncio.create_task(self._back(far_reader, writer, losing))
        await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
        for task in (there, back):
            task.cancel()
        await asyncio.gather(there, back, return_exceptions=True)
        for each in (writer, far_writer):
            each.transport.abort()
        self._open -= {writer, far_writer}

    async def _there(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event) -> None:
        while data := await reader.read(65_536):
            if self.loses_next_answer_to is not None and self.loses_next_answer_to in data:
                self.loses_next_answer_to = None
                losing.set()
            writer.write(data)
            await writer.drain()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event) -> None:
        while data := await reader.read(65_536):
            if losing.is_set():
                self.lost += 1
                if self.keeps_silent:
                    await asyncio.Event().wait()
                return
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def wire(url: str) -> AsyncIterator[Wire]:
    """A proxy before `url`."""
    opened = Wire(url)
    await opened.start()
    try:
        yield opened
    finally:
        await opened.stop()
