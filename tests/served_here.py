"""An app in this process, behind its real connections, for tests that hand it their own services or troubles."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h11
import httpx

from cludale.web.app import WebApp
from cludale.web.open_connections import ConnectionLimits, Connections
from cludale.web.server import accepting

SECONDS = 10
"""How long an answer may take."""
_PIECE = 64 * 1024


class PlainTransport(httpx.AsyncBaseTransport):
    """Kept connections to one server, each for one request at a time, read by h11.

    httpx's own, which httpcore makes, takes twice as long as the app that answers: some tests ask ten thousand times.
    """

    def __init__(self, host: str, port: int) -> None:
        self._where = host, port
        self._free: list[tuple[h11.Connection, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async with asyncio.timeout(SECONDS):
            body = await request.aread()
            kept = self._free.pop() if self._free else None
            if kept is None or kept[1].at_eof():
                reader, writer = await asyncio.open_connection(*self._where)
                kept = h11.Connection(h11.CLIENT), reader, writer
            state, reader, writer = kept
            try:
                target = request.url.raw_path
                asked = h11.Request(method=request.method, target=target, headers=request.headers.raw)
                for event in (asked, h11.Data(body), h11.EndOfMessage()):
                    writer.write(state.send(event) or b"")
                response = await _response(state, reader)
            except BaseException:
                writer.close()
                raise
        if state.our_state is h11.DONE and state.their_state is h11.DONE:
            state.start_next_cycle()
            self._free.append(kept)
        else:
            writer.close()
        return response

    async def aclose(self) -> None:
        for _, _, writer in self._free:
            writer.close()
        self._free.clear()


async def _response(state: h11.Connection, reader: asyncio.StreamReader) -> httpx.Response:
    head: h11.Response | None = None
    body = bytearray()
    while True:
        match state.next_event():
            case h11.NEED_DATA:
                state.receive_data(await reader.read(_PIECE))
            case h11.InformationalResponse():
                pass
            case h11.Response() as head:
                pass
            case h11.Data(data=data):
                body += data
            case h11.EndOfMessage() if head is not None:
                return httpx.Response(head.status_code, headers=head.headers.raw_items(), content=bytes(body))
            case _:
                raise httpx.RemoteProtocolError("the connection ended before the answer did")


@asynccontextmanager
async def served_here(app: WebApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the app."""
    listener = socket.create_server(("127.0.0.1", 0))
    connections = Connections(app.router.find, app.problems, ConnectionLimits())
    async with accepting(connections, listener, shutdown_seconds=5):
        host, port = listener.getsockname()
        transport = PlainTransport(host, port)
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}", transport=transport, timeout=SECONDS) as client:
            yield client
