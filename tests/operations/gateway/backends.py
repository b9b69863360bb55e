"""Backends to put behind the gateway, on real sockets: a polite one, and all kinds of rude ones."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from cludale.web.trust import naming, shown

Talk = Callable[["Received", asyncio.StreamWriter], Awaitable[None]]


class Received:
    """A request as a backend got it."""

    def __init__(self, start: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.method, self.target, _ = start.split(" ")
        self.headers = headers
        self.body = body

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.headers if each == name]


def answer(body: bytes = b'{"ok":true}', status: str = "200 OK", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}", *more, "", ""]
    return "\r\n".join(lines).encode() + body


async def polite(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(answer())


class Backend:
    """A server that does with each request what `talk` says; `/readyz` it answers by itself."""

    def __init__(self, talk: Talk, certificate: Path | None = None, known_by: Path | None = None) -> None:
        """`certificate`: what it shows; `known_by`: what those who ask are told that it shows, if that is another."""
        self.talk = talk
        self.certificate = certificate
        self.known_by = known_by or certificate
        self.is_ready = True
        self.troubles: list[str] = []
        """What it says that does not work, so that it is not ready."""
        self.got: list[Received] = []
        self.connections = 0
        self.open: set[asyncio.StreamWriter] = set()
        self.server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        if self.known_by is None:
            return f"http://127.0.0.1:{self.port}"
        return f"https://127.0.0.1:{self.port}{naming(self.known_by)}"

    async def start(self) -> None:
        tls = None if self.certificate is None else shown(self.certificate)
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=tls)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self.server is not None
        self.server.close()
        for writer in list(self.open):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            while not writer.is_closing():
                received = await read(reader)
                if received.target == "/readyz/replica":
                    writer.write(answer(status="200 OK" if self.is_ready else "503 No", body=b"{}"))
                elif received.target == "/readyz":
                    is_ready = self.is_ready and not self.troubles
                    body = json.dumps({"troubles": [{"part": "store", "detail": each} for each in self.troubles]})
                    writer.write(answer(status="200 OK" if is_ready else "503 No", body=body.encode()))
                else:
                    self.got.append(received)
                    await self.talk(received, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()


async def read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    start, *lines = head.rstrip("\r\n").split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    if "transfer-encoding" in dict(headers):
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
        return Received(start, headers, body)
    length = int(dict(headers).get("content-length", "0"))
    return Received(start, headers, await reader.readexactly(length))


@asynccontextmanager
async def backend(
    talk: Talk = polite, *, certificate: Path | None = None, known_by: Path | None = None
) -> AsyncIterator[Backend]:
    running = Backend(talk, certificate, known_by)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()
