"""The server's side of HTTP/1.1: one connection, its requests in order, responses and streams.

httptools reads the bytes and `framing` judges the head. What a request leads to, the router says.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from typing import Any, cast

import httptools
import msgspec

from cludale.kernel.refusals import Refusal
from cludale.web.feeds import Feed, chunk
from cludale.web.framing import BLANKS, checked, fault_of, without_upgrade
from cludale.web.open_connections import HEARTBEAT_SECONDS, NO_BODY, Connections
from cludale.web.problems import (
    BodyTooLarge,
    HeadTooLarge,
    MethodNotImplemented,
    RequestTimeout,
    TooManyConnections,
    TooManyStreams,
)
from cludale.web.responses import EVENT_STREAM, Response, Stream
from cludale.web.router import Found
from cludale.web.routing import Request

HEAD_LIMIT_BYTES = 32_768
LINGER_TICKS = 2
"""For how many patrols a refused client may go on sending, though nobody reads it."""
MOST_BUFFERED_BYTES = 4_096
"""How much may wait for a follower of a feed; a single frame may be larger."""
COMMENT = b":\n\n"
"""Sent on a quiet stream, so that proxies in between keep the connection open."""
CHUNK_BYTES = 65_536
"""A larger part of a stream is sent in several."""
TURNED_AWAY = frozenset((429, 503))
PATIENCE_SECONDS = 1.0
"""Who asks again sooner, and is turned away again, is not read for so long: else a thousand clients that ask again at
once would have most of the server's time for being told to come later."""


class _Asked(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A request that is whole, and how to answer it. A struct takes a sixth of the time to make of a NamedTuple. Each
    is one by itself, whatever it says.
    """

    found: Found
    headers: dict[bytes, bytes]
    body: bytes
    keep_alive: bool


class Connection(asyncio.Protocol):
    """One connection."""

    __slots__ = (  # there may be many thousands
        "_asked",
        "_body",
        "_body_limit",
        "_expects_continue",
        "_feed",
        "_fields",
        "_found",
        "_headers",
        "_held",
        "_in_head",
        "_is_behind",
        "_is_draining",
        "_is_paused",
        "_is_reading",
        "_is_refused",
        "_keep_alive",
        "_may_write",
        "_offers_upgrade",
        "_parser",
        "_patient_at",
        "_peer",
        "_pump",
        "_read",
        "_received",
        "_shared",
        "_since",
        "_transport",
        "_url",
        "_waiting",
        "_whole",
    )

    def __init__(self, shared: Connections) -> None:
        self._shared = shared
        self._transport = cast(asyncio.Transport, None)  # until it is made
        self._peer = ""
        self._set_parser()
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        """As they came, names in lower case."""
        self._fields: dict[bytes, bytes] = {}
        """The same by name, of a head that is whole."""
        self._found: Found | None = None
        """Where the request goes that is being read."""
        self._keep_alive = True
        self._expects_continue = False
        self._body = b""
        self._body_limit = 0
        self._received = 0
        self._read = 0
        """How much the read at hand brought."""
        self._in_head = False
        self._is_reading = False
        self._is_refused = False
        self._offers_upgrade = False
        """Is the head at hand one that the parser ends the message at, because it offers another protocol?"""
        self._since = shared.tick
        self._asked: _Asked | None = None
        """The request that is being answered."""
        self._whole = b""
        """All that came with the request at hand, if nothing was under way before."""
        self._waiting: list[_Asked] = []
        self._pump: asyncio.Task[None] | None = None
        """Sends a stream."""
        self._feed: Feed | None = None
        """What is followed."""
        self._is_behind = False
        """Has it not been sent the newest frame?"""
        self._is_draining = False
        self._is_paused = False
        self._patient_at = 0.0
        """Until when, by the loop's clock, it is too soon to ask again."""
        self._held: asyncio.TimerHandle | None = None
        """Ends the while in which nothing is read from who asked again too soon."""
        self._may_write: asyncio.Future[None] | None = None
        """Is done once the client takes something again; None while it does."""

    # The loop's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there; one too many is turned away."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""
        shared = self._shared
        shared.came(self)
        if len(shared) - shared.followers > 2 * shared.limits.connections:
            self._transport.abort()
        elif len(shared) - shared.followers > shared.limits.connections:
            self._refuse(TooManyConnections())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """The client is gone: what it asked for is finished all the same, but a stream has nobody to go to."""
        self._shared.went(self)
        self._waiting.clear()
        self._follow_no_more()
        if self._held is not None:
            self._held.cancel()
        if self._may_write is not None:
            self._may_write.cancel()
        if self._pump is not None:
            self._pump.cancel()

    def pause_writing(self) -> None:
        """The client does not take what was sent."""
        self._may_write = self._shared.loop.create_future()
        self._since = self._shared.tick

    def resume_writing(self) -> None:
        """It does again."""
        if self._may_write is not None and not self._may_write.done():
            self._may_write.set_result(None)
        self._may_write = None
        if self._is_behind and self._feed is not None:
            self._is_behind = False
            self.take(self._feed.frame)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._is_refused or self._feed is not None:
            return
        if self._asked is None and not self._is_reading:
            known = None if self._shared.stopping else self._shared.kept.find(data)
            if known is not None:
                self._since = self._shared.tick
                self._transport.write(known)
                return
            self._whole = data
        else:
            self._whole = b""
        self._read = len(data)
        while data:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as stop:
                if self._is_refused:
                    return
                self._read_again()
                data = data[stop.args[0] :]
            except httptools.HttpParserError as error:
                self._refuse(fault_of(error, self._parser, data))
                break
        if self._in_head:
            self._received += self._read
            if self._received > HEAD_LIMIT_BYTES:
                self._refuse(HeadTooLarge(HEAD_LIMIT_BYTES))

    def _set_parser(self) -> None:
        self._parser: Any = httptools.HttpRequestParser(self)
        # Of the version we judge ourselves; what follows the last request is nobody's.
        self._parser.set_dangerous_leniencies(lenient_version=True, lenient_data_after_close=True)

    def _read_again(self) -> None:
        """The request offers another protocol, which is ignored: its head is read again without the offer."""
        before, since = self._parser, self._since
        self._set_parser()  # the one before may think that this was the last request
        head = without_upgrade(before.get_method(), before.get_http_version(), self._url, self._headers)
        self._parser.feed_data(head)
        self._since = since

    # The parser's callbacks, in the order in which they come

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url = b""
        self._headers = []
        self._found = None
        self._expects_continue = False
        self._body = b""
        self._received = 0
        self._in_head = self._is_reading = True
        self._offers_upgrade = False
        self._since = self._shared.tick

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer is nothing to us."""
        if not self._in_head:
            return
        self._headers.append((name.lower(), value.strip(BLANKS)))

    def on_headers_complete(self) -> None:
        """The head of a request is here: where does it go?"""
        may_be_large = self._received + self._read > HEAD_LIMIT_BYTES
        self._in_head = False
        self._received = 0
        if self._is_refused:
            return
        if may_be_large and self._head_bytes() > HEAD_LIMIT_BYTES:
            self._refuse(HeadTooLarge(HEAD_LIMIT_BYTES))
            return
        method, version = self._parser.get_method(), self._parser.get_http_version()
        fields = self._fields = dict(self._headers)
        try:
            target, host = checked(method, version, self._url, self._headers, fields)
        except Refusal as refusal:
            self._refuse(refusal)
            return
        if self._parser.should_upgrade():
            if method == b"CONNECT":  # which is an offer by itself, whatever its target: without it nothing is left
                self._refuse(MethodNotImplemented("CONNECT"))
                return
            self._offers_upgrade = True
            return
        if target is not self._url:
            fields[b"host"] = host
        found = self._found = self._shared.find(method, target)
        self._body_limit = found.endpoint.max_body_bytes or self._shared.limits.body_bytes
        self._keep_alive = version != "1.0" and self._parser.should_keep_alive()
        if b"expect" in fields and version != "1.0":
            said = [value.lower() for name, value in self._headers if name == b"expect"]
            self._expects_continue = b"100-continue" in said
            self._go_on()

    def _go_on(self) -> None:
        """Tell a client that waits for it to send the body: in its turn, after the responses before it."""
        if self._expects_continue and self._asked is None:
            self._expects_continue = False
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _head_bytes(self) -> int:
        """The size of the head, without the little that is around its parts."""
        return len(self._url) + sum(len(name) + len(value) for name, value in self._headers)

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        if self._is_refused:
            return
        self._received += len(body)
        if self._received > self._body_limit:
            self._refuse(BodyTooLarge(self._body_limit))
        else:
            self._expects_continue = False
            self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        """A request is here, whole."""
        found = self._found
        if self._is_refused or self._offers_upgrade or found is None:
            return
        self._found = None
        self._is_reading = self._expects_continue = False
        asked = _Asked(found, self._fields, self._body, self._keep_alive)
        if self._asked is None:
            self._begin(asked)
        else:
            self._waiting.append(asked)
            if not self._is_paused:
                self._is_paused = True
                self._transport.pause_reading()  # as much as came at once may wait

    # Responses

    def _begin(self, asked: _Asked) -> None:
        self._asked = asked
        found = asked.found
        try:
            response = found.endpoint.handle(Request(found.segment, asked.headers, asked.body, found.query, self._peer))
        except Exception as error:  # noqa: BLE001 - raised through the parser it would pass for the client's mistake
            response = self._shared.problems.answer(error)
        if isinstance(response, Response):
            self._respond(asked, response)
        else:
            self._shared.tasks[asked] = self._shared.loop.create_task(self._later(asked, response))

    async def _later(self, asked: _Asked, awaited: Awaitable[Response | Stream]) -> None:
        try:
            try:
                response = await awaited
            except Exception as error:  # noqa: BLE001 - each becomes a problem; those nobody foresaw are logged there
                response = self._shared.problems.answer(error)
            if isinstance(response, Response):
                self._respond(asked, response)
            else:
                await self._stream(asked, response)
        finally:
            del self._shared.tasks[asked]

    def _respond(self, asked: _Asked, response: Response) -> None:
        """Send it, and go on with the next request of the pipeline, if there is one."""
        if self._transport.is_closing():
            return
        stays = self._stays(asked)
        endpoint = asked.found.endpoint
        written = self._write(response, close=not stays, with_body=endpoint.method != "HEAD")
        if response.same_until and stays and written and self._whole:
            counted = (endpoint.method, endpoint.path, response.status)
            self._shared.kept.keep(self._whole, asked.headers, written, response, counted)
        self._whole = b""
        if response.status in TURNED_AWAY and stays:
            self._turned_away(asked, response)
        self._next(stays=stays)

    def _turned_away(self, asked: _Asked, response: Response) -> None:
        """Read nothing for a while from a client that does not wait when it is told to.

        What it had sent before it was told is answered. A connection of a proxy, which names the client, is not held:
        the next request on it is another one's.
        """
        is_told = any(name == "retry-after" for name, _ in response.headers)
        if self._waiting or not is_told or b"x-forwarded-for" in asked.headers:
            return
        now = self._shared.loop.time()
        if now < self._patient_at and self._held is None:
            self._held = self._shared.loop.call_later(PATIENCE_SECONDS, self._read_on)
            self._transport.pause_reading()
        self._patient_at = now + PATIENCE_SECONDS

    def _read_on(self) -> None:
        self._held = None
        if not self._is_paused and not self._transport.is_closing():
            self._transport.resume_reading()

    def _stays(self, asked: _Asked) -> bool:
        """Does the connection go on after this response? When the server stops, after the last one it does not."""
        return asked.keep_alive and (not self._shared.stopping or bool(self._waiting) or self._is_reading)

    def _next(self, *, stays: bool) -> None:
        self._asked = None
        self._since = self._shared.tick
        if not stays:
            self._waiting.clear()
            self._transport.close()
        if self._is_draining or self._is_refused:
            return
        self._is_draining = True  # those that are answered at once come back here: a loop, for there may be many
        while self._waiting and not self._is_busy:
            self._begin(self._waiting.pop(0))
        self._is_draining = False
        if not self._is_busy and not self._transport.is_closing():
            if self._is_paused:
                self._is_paused = False
                if self._held is None:
                    self._transport.resume_reading()
            self._go_on()

    @property
    def _is_busy(self) -> bool:
        return self._asked is not None

    def _write(self, response: Response, *, close: bool, with_body: bool = True) -> bytes:
        """Send it; what was sent, of a response with headers of its own."""
        status, body, media_type, headers = response[:4]
        says_caching = bool(headers) and any(name == "cache-control" for name, _ in headers)
        head, sent = self._shared.head(status, media_type, says_caching=says_caching), body if with_body else b""
        if not headers and not close:
            self._transport.write(b"%scontent-length: %d\r\n\r\n%s" % (head, len(body), sent))
            return b""
        lines = [] if status in NO_BODY else [f"content-length: {len(body)}\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in headers]
        if close:
            lines.append("connection: close\r\n")
        written = b"%s%s\r\n%s" % (head, "".join(lines).encode(), sent)
        self._transport.write(written)
        return written

    # Streams

    async def _stream(self, asked: _Asked, stream: Stream) -> None:
        """Send it chunk by chunk, and close it: at its own end, when the client goes, or when the server stops."""
        shared, chunks = self._shared, stream.chunks
        if isinstance(chunks, Feed):
            self._follow(asked, stream, chunks)
            return
        if shared.streams >= shared.limits.streams:
            await _close(chunks)
            self._respond(asked, shared.problems.answer(TooManyStreams()))
            return
        shared.streams += 1
        self._pump = asyncio.current_task()
        is_whole = True
        try:
            if not self._transport.is_closing() and not shared.stopping:
                self._write_stream_head(asked, stream)
                if asked.found.endpoint.method != "HEAD":
                    await self._send(chunks, stream.media_type)
        except asyncio.CancelledError:  # the client is gone, or the server stops
            pass
        except Exception as error:  # noqa: BLE001 - its head is sent: the problem can only be logged
            shared.problems.answer(error)
            is_whole = False
        finally:
            self._pump = None
            shared.streams -= 1
            await _close(chunks)
        if not is_whole:
            self._transport.abort()  # without its last chunk nobody takes it for whole
        elif not self._transport.is_closing():
            if asked.found.endpoint.method != "HEAD":
                self._transport.write(b"0\r\n\r\n")
            self._next(stays=self._stays(asked))

    def _write_stream_head(self, asked: _Asked, stream: Stream) -> None:
        lines = [f"{name}: {value}\r\n" for name, value in (*stream.headers, ("transfer-encoding", "chunked"))]
        if not asked.keep_alive:
            lines.append("connection: close\r\n")
        head = self._shared.head(stream.status, stream.media_type)
        self._transport.write(b"%s%s\r\n" % (head, "".join(lines).encode()))

    async def _send(self, chunks: AsyncIterator[bytes], media_type: str) -> None:
        """No faster than the client takes it. One who reads nothing is cut off by the patrol."""
        while True:
            following = asyncio.ensure_future(anext(chunks, None))
            try:
                while not (await asyncio.wait({following}, timeout=HEARTBEAT_SECONDS))[0]:
                    if media_type == EVENT_STREAM:
                        await self._send_chunk(COMMENT)
            finally:
                following.cancel()  # without effect on one that is done
                await asyncio.wait({following})
            part = following.result()
            if part is None:
                return
            for start in range(0, len(part), CHUNK_BYTES):
                await self._send_chunk(part[start : start + CHUNK_BYTES])

    async def _send_chunk(self, part: bytes) -> None:
        while self._may_write is not None:
            await asyncio.shield(self._may_write)
        self._transport.write(chunk(part))

    # Feeds

    def _follow(self, asked: _Asked, stream: Stream, feed: Feed) -> None:
        """Send the feed's frames as they come, until the client goes or the server stops. Then the connection ends."""
        shared = self._shared
        if self._transport.is_closing():
            return
        if shared.followers >= shared.limits.followers:
            self._respond(asked, shared.problems.answer(TooManyStreams()))
            return
        self._write_stream_head(asked, stream)
        is_head = asked.found.endpoint.method == "HEAD"
        if is_head or shared.stopping:
            self._transport.write(b"" if is_head else chunk(b""))
            self._next(stays=self._stays(asked))
            return
        # Nothing more is read from it, so nothing of the request need be kept.
        self._asked = _Asked(asked.found, {}, b"", keep_alive=False)
        self._headers, self._fields, self._whole, self._url = [], {}, b"", b""
        self._waiting.clear()
        self._parser = None
        self._transport.set_write_buffer_limits(MOST_BUFFERED_BYTES)
        self._feed = feed
        shared.followers += 1
        self._since = shared.tick
        feed.join(self)

    def take(self, frame: bytes) -> None:
        """Send this frame; to a client that takes nothing now, the newest one once it does."""
        if self._may_write is not None:
            self._is_behind = True
            return
        self._since = self._shared.tick
        self._transport.write(frame)

    def _follow_no_more(self) -> None:
        if self._feed is not None:
            self._feed.leave(self)
            self._feed = None
            self._shared.followers -= 1

    # Ends

    def stop(self) -> None:
        """The server stops: an idle connection is closed, a stream ended; a request under way is answered first."""
        if self._feed is not None:
            self._follow_no_more()
            self._transport.write(chunk(b""))
            self._transport.close()
        elif self._pump is not None:
            self._pump.cancel()
        elif self._asked is None and (self._in_head or not self._is_reading):
            self._transport.close()

    def abort(self) -> None:
        """Close it at once, whatever is under way."""
        self._transport.abort()

    def _refuse(self, error: Exception) -> None:
        """Answer with a problem, if nothing else is being answered, and close."""
        if self._is_refused:
            return
        self._is_refused = True
        self._in_head = self._is_reading = False
        self._shared.refused += 1
        if self._asked is not None or self._transport.is_closing():
            self._transport.close()
            return
        response = self._shared.problems.answer(error)
        self._write(response, close=True, with_body=self._parser.get_method() != b"HEAD")
        # Closed at once, a client that is still sending would be reset before it has read why. So the patrol closes.
        self._since = self._shared.tick
        if self._transport.can_write_eof():  # TLS knows no such thing
            self._transport.write_eof()

    def check_times(self, tick: int) -> None:
        """Has the client taken too long to send its request or to read a stream, or nothing come for too long?"""
        waited, shared = tick - self._since, self._shared
        if self._feed is not None:
            self._check_follower(waited)
        elif self._is_refused:
            if waited >= LINGER_TICKS:
                self._transport.abort()
        elif self._is_reading:
            if waited > shared.request_ticks:
                self._refuse(RequestTimeout())
        elif self._asked is not None:
            if self._pump is not None and self._may_write is not None and waited > shared.request_ticks:
                self._transport.abort()
        elif waited > shared.idle_ticks:
            if self._transport.get_write_buffer_size():
                self._transport.abort()  # nobody reads the answer; close() would wait for that
            else:
                self._transport.close()

    def _check_follower(self, waited: int) -> None:
        """One who takes nothing is cut off; one who was long told nothing is told that this is still there."""
        if self._may_write is not None:
            if waited > self._shared.request_ticks:
                self._transport.abort()
        elif waited >= self._shared.heartbeat_ticks:
            self.take(chunk(COMMENT))


async def _close(chunks: AsyncIterator[bytes]) -> None:
    """Let what they hold go, by their `finally`."""
    if isinstance(chunks, AsyncGenerator):
        await chunks.aclose()
