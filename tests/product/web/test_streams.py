"""A stream is sent as it comes, no faster than it is read, and what it holds is freed however it ends."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import NamedTuple, cast

import pytest
from tests.patience import until

from cludale.web import protocol
from cludale.web.app import WebApp
from cludale.web.open_connections import ConnectionLimits, Connections
from cludale.web.problems import Problems, TooManyStreams
from cludale.web.protocol import CHUNK_BYTES
from cludale.web.responses import Response, Stream, event
from cludale.web.routing import Request, Route
from cludale.web.server import accepting

ASKED = b"GET /events HTTP/1.1\r\nhost: x\r\n"


class Source:
    """What a stream tells: the test's own events."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.open = 0
        self.taken = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            while (each := await self.queue.get()) is not None:
                if isinstance(each, Exception):
                    raise each
                self.taken += 1
                yield each
        finally:
            self.open -= 1

    async def endless(self) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            while True:
                self.taken += 1
                yield b"x" * CHUNK_BYTES
        finally:
            self.open -= 1


class Running(NamedTuple):
    """A server with two streams, and who tells them."""

    port: int
    connections: Connections
    source: Source
    stop: asyncio.Event
    serving: "asyncio.Task[None]"

    async def connect(self, sent: bytes = ASKED + b"\r\n") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        return reader, writer

    async def stopped(self) -> None:
        self.stop.set()
        await self.serving


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    source = Source()

    async def events(_: Request) -> Stream:
        return Stream(source.chunks())

    async def endless(_: Request) -> Stream:
        return Stream(source.endless(), "application/octet-stream")

    routes = [
        Route(method="GET", path="/events", handle=events),
        Route(method="GET", path="/endless", handle=endless),
    ]
    app = WebApp([], is_ready=lambda: True, gauges=dict, version="0", internal=routes)
    listener = socket.create_server(("127.0.0.1", 0))
    stop = asyncio.Event()
    limits = ConnectionLimits(request_seconds=1, idle_seconds=2, streams=2)
    connections = Connections(app.router.find, app.problems, limits)

    async def serve() -> None:
        async with accepting(connections, listener, shutdown_seconds=5):
            await stop.wait()

    serving = asyncio.create_task(serve())
    running = Running(listener.getsockname()[1], connections, source, stop, serving)
    yield running
    await running.stopped()


async def _until(reader: asyncio.StreamReader, end: bytes) -> bytes:
    async with asyncio.timeout(5):
        return await reader.readuntil(end)


async def test_an_event_is_there_as_soon_as_it_is_told(running: Running) -> None:
    reader, writer = await running.connect()
    head = await _until(reader, b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\ncontent-type: text/event-stream\r\n" in head
    assert b"\r\ncache-control: no-store\r\n" in head
    assert b"content-length" not in head
    for number in range(3):
        running.source.queue.put_nowait(event({"left": number}))
        told = b'data: {"left":%d}\n\n' % number
        assert await _until(reader, b"\n\n\r\n") == b"%x\r\n%s\r\n" % (len(told), told)
    writer.close()


async def test_the_connection_goes_on_after_a_stream_that_ends_and_what_came_meanwhile_is_answered(
    running: Running,
) -> None:
    reader, writer = await running.connect((ASKED + b"\r\n") * 2)
    for _ in range(2):
        await _until(reader, b"\r\n\r\n")
        running.source.queue.put_nowait(None)
        assert await _until(reader, b"0\r\n\r\n") == b"0\r\n\r\n"
    await until(lambda: running.source.open == running.connections.streams == 0)
    writer.close()


async def test_a_stream_of_which_only_the_head_is_asked_is_closed_at_once(running: Running) -> None:
    reader, writer = await running.connect(ASKED.replace(b"GET", b"HEAD") + b"connection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK\r\n")
    assert running.source.taken == running.source.open == 0
    writer.close()


async def test_a_client_that_goes_ends_its_stream_at_once(running: Running) -> None:
    reader, writer = await running.connect()
    await _until(reader, b"\r\n\r\n")
    assert running.source.open == running.connections.streams == 1
    writer.close()
    await until(lambda: running.source.open == running.connections.streams == 0, seconds=1)
    await until(lambda: not running.connections.tasks)


async def test_a_server_that_stops_ends_its_streams_so_that_the_client_has_them_whole(running: Running) -> None:
    reader, writer = await running.connect()
    await _until(reader, b"\r\n\r\n")
    running.source.queue.put_nowait(b"last")
    await _until(reader, b"last\r\n")
    began = asyncio.get_running_loop().time()
    await running.stopped()
    assert await reader.read() == b"0\r\n\r\n"
    assert running.source.open == 0
    assert asyncio.get_running_loop().time() - began < 2
    writer.close()


async def test_no_more_is_made_than_is_read_and_who_reads_nothing_is_cut_off(running: Running) -> None:
    reader, writer = await running.connect(ASKED.replace(b"/events", b"/endless") + b"\r\n")
    await _until(reader, b"\r\n\r\n")
    cast(asyncio.Transport, writer.transport).pause_reading()
    await until(lambda: running.source.taken > 1)
    await asyncio.sleep(0.3)
    taken = running.source.taken
    await asyncio.sleep(0.3)
    assert running.source.taken == taken < 300
    await until(lambda: running.source.open == running.connections.streams == 0)
    writer.close()


async def test_who_reads_gets_all_of_it_and_others_are_served_meanwhile(running: Running) -> None:
    reader, writer = await running.connect(ASKED.replace(b"/events", b"/endless") + b"\r\n")
    seen = 0
    while seen < 20_000_000:
        seen += len(await reader.read(1_000_000))
    other, second = await running.connect(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    async with asyncio.timeout(2):
        assert (await other.read()).endswith(b'{"status":"ok"}')
    writer.close()
    second.close()


async def test_one_stream_too_many_is_refused(running: Running) -> None:
    held = [await running.connect() for _ in range(2)]
    for reader, _ in held:
        await _until(reader, b"\r\n\r\n")
    reader, writer = await running.connect(ASKED + b"connection: close\r\n\r\n")
    refused = await reader.read()
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"/problems/too-many-streams" in refused
    assert b"retry-after: 1\r\n" in refused
    assert running.source.open == 2
    for _, each in (*held, (reader, writer)):
        each.close()


async def test_a_stream_that_breaks_is_in_the_log_and_not_taken_for_whole(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await running.connect()
    await _until(reader, b"\r\n\r\n")
    running.source.queue.put_nowait(ZeroDivisionError("a bug"))
    came = b""
    with suppress(ConnectionResetError):
        came = await reader.read()
    assert not came.endswith(b"0\r\n\r\n")
    assert "ZeroDivisionError" in caplog.text
    await until(lambda: running.connections.streams == 0)
    writer.close()


async def test_a_stream_that_says_nothing_says_that_it_is_still_there(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEARTBEAT_SECONDS", 0.05)
    reader, writer = await running.connect()
    await _until(reader, b"\r\n\r\n")
    for _ in range(3):
        assert await _until(reader, b":\n\n\r\n") == b"3\r\n:\n\n\r\n"
    running.source.queue.put_nowait(b"more")
    assert (await _until(reader, b"more\r\n")).endswith(b"4\r\nmore\r\n")
    writer.close()


def test_the_data_of_an_event_is_on_one_line() -> None:
    assert event("a\nb") == b'data: "a\\nb"\n\n'


def test_a_problem_about_streams_has_a_status() -> None:
    response = Problems().answer(TooManyStreams())
    assert isinstance(response, Response)
    assert response.status == 503
