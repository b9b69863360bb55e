"""Who follows a feed is sent the newest frame and each that follows; who does not take them has one at most waiting."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import NamedTuple, cast

import pytest
from tests.patience import until

from cludale.web import protocol
from cludale.web.app import WebApp
from cludale.web.feeds import AT_ONCE, Feed, chunk
from cludale.web.open_connections import ConnectionLimits, Connections
from cludale.web.responses import Stream
from cludale.web.routing import Request, Route
from cludale.web.server import accepting

ASKED = b"GET /feed HTTP/1.1\r\nhost: x\r\n\r\n"
FOLLOWERS = 3


class Running(NamedTuple):
    """A server with one feed."""

    port: int
    connections: Connections
    feed: Feed
    stop: asyncio.Event
    serving: "asyncio.Task[None]"

    async def follow(self, asked: bytes = ASKED) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(asked)
        assert (await _until(reader, b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        return reader, writer

    async def stopped(self) -> None:
        self.stop.set()
        await self.serving


async def _until(reader: asyncio.StreamReader, end: bytes) -> bytes:
    async with asyncio.timeout(5):
        return await reader.readuntil(end)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    feed = Feed()

    async def follow(_: Request) -> Stream:
        return Stream(feed)

    route = Route(method="GET", path="/feed", handle=follow)
    app = WebApp([], is_ready=lambda: True, gauges=dict, version="0", internal=[route])
    listener = socket.create_server(("127.0.0.1", 0))
    stop = asyncio.Event()
    limits = ConnectionLimits(request_seconds=1, idle_seconds=2, followers=FOLLOWERS, connections=2)
    connections = Connections(app.router.find, app.problems, limits)

    async def serve() -> None:
        async with accepting(connections, listener, shutdown_seconds=5):
            await stop.wait()

    serving = asyncio.create_task(serve())
    running = Running(listener.getsockname()[1], connections, feed, stop, serving)
    yield running
    await running.stopped()


async def test_all_get_the_newest_frame_and_each_that_follows(running: Running) -> None:
    running.feed.tell(b"first")
    followers = [await running.follow() for _ in range(FOLLOWERS)]
    running.feed.tell(b"second")
    for reader, _ in followers:
        assert await _until(reader, b"second\r\n") == chunk(b"first") + chunk(b"second")
    assert len(running.feed) == running.connections.followers == FOLLOWERS
    assert not running.connections.tasks
    # they are beside the connections that there may be, of which there are two
    _, other = await asyncio.open_connection("127.0.0.1", running.port)
    assert running.connections.refused == 0
    for _, writer in followers:
        writer.close()
    await until(lambda: len(running.feed) == running.connections.followers == 0)
    other.close()


async def test_one_too_many_is_refused_and_of_a_head_nothing_is_left(running: Running) -> None:
    reader, writer = await running.follow(ASKED.replace(b"GET", b"HEAD"))
    assert running.connections.followers == 0
    writer.close()
    await until(lambda: not len(running.connections))
    held = [await running.follow() for _ in range(FOLLOWERS)]
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(ASKED)
    assert (await _until(reader, b"\r\n\r\n")).startswith(b"HTTP/1.1 503 ")
    for _, each in (*held, (reader, writer)):
        each.close()


async def test_a_server_that_stops_ends_them_whole(running: Running) -> None:
    running.feed.tell(b"last")
    reader, writer = await running.follow()
    await running.stopped()
    assert await reader.read() == chunk(b"last") + chunk(b"")
    assert len(running.feed) == 0
    writer.close()


async def test_who_takes_nothing_is_sent_nothing_more_and_cut_off_while_others_are_told(running: Running) -> None:
    slow, stuck = await running.follow()
    cast(asyncio.Transport, stuck.transport).pause_reading()
    reader, writer = await running.follow()
    frame = b"x" * 200_000
    for _ in range(200):
        running.feed.tell(frame)
        assert await _until(reader, frame + b"\r\n") == chunk(frame)
    await until(lambda: running.connections.followers == 1)
    stuck.close()
    writer.close()
    del slow


async def test_who_takes_them_late_gets_the_newest_only(running: Running) -> None:
    reader, writer = await running.follow()
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    cast(asyncio.Transport, writer.transport).pause_reading()
    for number in range(100):
        running.feed.tell(b"%d:" % number + b"x" * 200_000)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    cast(asyncio.Transport, writer.transport).resume_reading()
    came = b""
    async with asyncio.timeout(5):
        while b"\r\n99:" not in came:
            came += await reader.read(1_000_000)
    assert b"\r\n98:" not in came
    assert len(came) < 10_000_000  # what fits between the two sockets and one frame, not the 20 MB of 100
    writer.close()


async def test_while_nothing_is_told_a_comment_says_that_it_is_still_there(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.connections, "heartbeat_ticks", 1)
    reader, writer = await running.follow()
    assert await _until(reader, b":\n\n\r\n") == chunk(protocol.COMMENT)
    writer.close()


async def test_a_frame_that_comes_while_one_is_told_is_told_after_it() -> None:
    class Reader:
        def __init__(self) -> None:
            self.taken: list[bytes] = []

        def take(self, frame: bytes) -> None:
            self.taken.append(frame)

    feed = Feed()
    readers = [Reader() for _ in range(2 * AT_ONCE + 1)]
    for each in readers:
        feed.join(each)
    feed.tell(b"one")
    await asyncio.sleep(0)
    feed.tell(b"two")
    gone = next(each for each in readers if not each.taken)
    feed.leave(gone)
    await until(lambda: all(each.taken[-1:] == [chunk(b"two")] for each in readers if each is not gone))
    assert gone.taken == []
