"""People who look at a concert, in a process of their own: `python -m benchmarks.crowd`, told by lines of JSON.

Some hold an event stream open, others load the concert's page, one request at a time on each connection, as often a
second as they are told in all. One of them buys a seat every so often at the concert that is watched: from that order's
answer on it is counted how old what each stream shows is.
"""

import asyncio
import gc
import subprocess
import sys
import time
from types import TracebackType
from typing import Self, cast

import msgspec
import uvloop

from benchmarks.machine import PROJECT

HEAD = (
    b"host: localhost\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    b"accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\naccept-language: en-GB,en;q=0.5\r\n"
    b"accept-encoding: gzip, deflate, br, zstd\r\nsec-fetch-dest: document\r\nsec-fetch-mode: navigate\r\n"
    b"sec-fetch-site: none\r\nsec-fetch-user: ?1\r\npriority: u=0, i\r\n"
)
"""What Firefox says."""
PACE_SECONDS = 0.004
OPENED_AT_ONCE = 200


class Command(msgspec.Struct, omit_defaults=True):
    """What to do: the first field that is set."""

    open: int = 0
    """Open so many streams."""
    start: int | None = None
    """Begin, and load so many pages a second, until told to stop; -1: as many as there can be."""
    stop: bool = False
    close: bool = False
    """Close the streams."""


class Told(msgspec.Struct):
    """What came of it. Seconds, but for what says otherwise."""

    opened: int = 0
    pages: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    frames: int = 0
    """That all streams together were sent."""
    ages: list[float] = []
    """p50, p99 and most of how old a change was when it was read."""
    behind: int = 0
    """Streams that have not read of the last change."""


class Place(msgspec.Struct):
    """Where to look."""

    host: str
    port: int
    path: str
    api_port: int
    """Where to buy."""
    concert_id: str
    tag: str = ""
    """What browsers have already; without it they have nothing."""
    connections: int = 64
    sections: list[str] = []
    seats: int = 20
    """Of each section of the concert."""
    every_seconds: float = 1.0
    """How often a seat is bought."""


class _Loader(asyncio.Protocol):
    """One connection of somebody who loads pages."""

    def __init__(self, crowd: "_Crowd") -> None:
        self.crowd = crowd
        self.transport = cast(asyncio.Transport, None)
        self.left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.crowd.idle.append(self)

    def data_received(self, data: bytes) -> None:
        crowd = self.crowd
        if not self.left:
            self.left = _answer_bytes(data)
        self.left -= len(data)
        if self.left:
            return
        crowd.loaded += 1
        if crowd.is_pressing:
            self.ask()
        else:
            crowd.idle.append(self)

    def ask(self) -> None:
        self.transport.write(self.crowd.request)


class _Watcher(asyncio.Protocol):
    """One stream."""

    __slots__ = ("crowd", "left", "transport")

    def __init__(self, crowd: "_Crowd") -> None:
        self.crowd = crowd
        self.transport = cast(asyncio.Transport, None)
        self.left = -1
        """Seats, as this one was told."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self.crowd.live)

    def data_received(self, data: bytes) -> None:
        crowd = self.crowd
        left = crowd.seats_in(data)
        if left is None:
            return
        if self.left < 0:
            crowd.opened += 1
        else:
            now = time.monotonic()
            crowd.frames += 1
            for at in range(left, self.left):
                crowd.ages.append(max(0.0, now - crowd.sold.get(at, now)))
        self.left = left

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self.crowd.watchers.discard(self)


class _Crowd:
    def __init__(self, place: Place) -> None:
        self.place = place
        self.idle: list[_Loader] = []
        self.watchers: set[_Watcher] = set()
        tag = f"if-none-match: {place.tag}\r\n".encode() if place.tag else b""
        self.request = f"GET {place.path} HTTP/1.1\r\n".encode() + HEAD + tag + b"\r\n"
        self.live = f"GET {place.path}/live HTTP/1.1\r\n".encode() + HEAD + b"\r\n"
        self.loaded = self.opened = self.frames = 0
        self.ages: list[float] = []
        self.sold: dict[int, float] = {}
        """When so many seats were left."""
        self.left = len(place.sections) * place.seats
        self.is_pressing = False
        self._known: dict[bytes, int | None] = {}
        self._work: list[asyncio.Task[None]] = []
        self._began = (0.0, 0.0, 0)

    def seats_in(self, data: bytes) -> int | None:
        """What the last whole frame in it says; None: there is none. All are sent the same, so it is read once."""
        if data not in self._known:
            frames = [each for each in data.split(b"data: ")[1:] if b"\n\n" in each]
            self._known[data] = None
            if frames:
                said = msgspec.json.decode(frames[-1].partition(b"\n\n")[0])
                self._known[data] = sum(seats for _, seats in said["sections"].values())
        return self._known[data]

    async def prepare(self) -> None:
        place = self.place
        reader, writer = await asyncio.open_connection(place.host, place.port)
        writer.write(self.request)
        head = await reader.readuntil(b"\r\n\r\n")
        if head[9:12] not in (b"200", b"304"):
            raise RuntimeError(f"no page: {head!r}")
        writer.close()
        loop = asyncio.get_running_loop()
        for _ in range(place.connections):
            await loop.create_connection(lambda: _Loader(self), place.host, place.port)

    async def open(self, count: int) -> Told:
        began, loop, wanted = time.monotonic(), asyncio.get_running_loop(), self.opened + count
        for start in range(0, count, OPENED_AT_ONCE):
            some = range(start, min(start + OPENED_AT_ONCE, count))
            made = await asyncio.gather(
                *(loop.create_connection(lambda: _Watcher(self), self.place.host, self.place.port) for _ in some)
            )
            self.watchers.update(protocol for _, protocol in made)
        async with asyncio.timeout(60):
            while self.opened < wanted:  # noqa: ASYNC110 - an event for each of thousands would cost more
                await asyncio.sleep(0.01)
        return Told(opened=self.opened, seconds=time.monotonic() - began)

    async def start(self, rate: int) -> Told:
        self.ages, self.frames = [], 0
        self._began = (time.monotonic(), time.process_time(), self.loaded)
        if rate < 0:
            self.is_pressing = True
            for each in self.idle:
                each.ask()
            self.idle.clear()
        elif rate > 0:
            self._work.append(asyncio.create_task(self._pace(rate)))
        if self.watchers:
            self._work.append(asyncio.create_task(self._buy()))
        return Told()

    async def stop(self) -> Told:
        began, cpu, loaded = self._began
        pages, seconds = self.loaded - loaded, time.monotonic() - began
        self.is_pressing = False
        for each in self._work:
            each.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        self._work.clear()
        if self.watchers:
            await asyncio.sleep(1.2)
        cpu_seconds = time.process_time() - cpu
        ages = sorted(self.ages)
        shown = [ages[len(ages) // 2], ages[len(ages) * 99 // 100], ages[-1]] if ages else []
        behind = sum(each.left > self.left for each in self.watchers)
        return Told(
            pages=pages, seconds=seconds, cpu_seconds=cpu_seconds, frames=self.frames, ages=shown, behind=behind
        )

    async def close(self) -> Told:
        for each in list(self.watchers):
            each.transport.abort()
        while self.watchers:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        self.opened = 0
        return Told()

    async def _pace(self, rate: int) -> None:
        began, asked = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - began) * rate) - asked
            for _ in range(min(due, len(self.idle))):
                self.idle.pop().ask()
                asked += 1
            await asyncio.sleep(PACE_SECONDS)

    async def _buy(self) -> None:
        place = self.place
        reader, writer = await asyncio.open_connection(place.host, place.api_port)
        while self.left:
            await asyncio.sleep(place.every_seconds)
            section = place.sections[(self.left - 1) // place.seats]
            body = msgspec.json.encode(
                {"concertId": place.concert_id, "userId": "a", "quantity": 1, "section": section}
            )
            head = f"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
            writer.write(head.encode() + b"\r\n\r\n" + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            self.left -= 1
            self.sold[self.left] = time.monotonic()
            if b" 201 " not in answer[:16]:
                raise RuntimeError(f"no seat: {answer!r}")
            await reader.readexactly(int(answer.lower().partition(b"content-length: ")[2].partition(b"\r")[0]))


def _answer_bytes(data: bytes) -> int:
    """The length of the answer that begins so. Its head comes at once."""
    end = data.index(b"\r\n\r\n") + 4
    at = data.find(b"content-length: ", 0, end)
    return end if at < 0 else end + int(data[at + 16 : data.index(b"\r", at)])


class Crowd:
    """The process, for whoever measures. A context manager."""

    def __init__(self, place: Place) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.crowd"], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._say(place)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def _say(self, what: msgspec.Struct) -> Told:
        process = self._process
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("pipes were asked for")
        process.stdin.write(msgspec.json.encode(what) + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the crowd ended with status {process.wait()}")
        return msgspec.json.decode(line, type=Told)

    def open(self, streams: int) -> Told:
        """Open streams."""
        return self._say(Command(open=streams))

    def start(self, pages_per_second: int) -> Told:
        """Begin."""
        return self._say(Command(start=pages_per_second))

    def stop(self) -> Told:
        """What came of it since `start`."""
        return self._say(Command(stop=True))

    def close(self) -> Told:
        """Close the streams."""
        return self._say(Command(close=True))


async def _obey() -> None:
    loop = asyncio.get_running_loop()
    told = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(told), sys.stdin)
    crowd = _Crowd(msgspec.json.decode(await told.readline(), type=Place))
    await crowd.prepare()
    gc.freeze()
    gc.disable()
    answer = Told()
    while True:
        print(msgspec.json.encode(answer).decode(), flush=True)
        line = await told.readline()
        if not line:
            return
        command = msgspec.json.decode(line, type=Command)
        if command.open:
            answer = await crowd.open(command.open)
        elif command.start is not None:
            answer = await crowd.start(command.start)
        elif command.stop:
            answer = await crowd.stop()
        else:
            answer = await crowd.close()


if __name__ == "__main__":
    from cludale.web.files import allow_files

    allow_files(20_000)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_obey())
