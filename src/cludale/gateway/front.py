"""Clients' connections: bytes to whole requests, within limits, and answers back in the order of the requests.

Whatever is not plain HTTP/1.1 ends the connection; an offer to change to another protocol is ignored. A request is
read whole before anybody hears of it, so a slow client costs a backend nothing.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol, cast

import httptools

from cludale.gateway.exchange import Asker
from cludale.gateway.limits import Limits
from cludale.gateway.messages import Passed, Request, own
from cludale.http.answers import Answer
from cludale.http.framing import BLANKS, checked, fault_of, without_upgrade
from cludale.http.problems import (
    BodyTooLarge,
    HeadTooLarge,
    Problems,
    RequestTimeout,
    TooManyConnections,
)
from cludale.kernel.refusals import Refusal

_LINGER_SECONDS = 2
"""How long a client that was refused may go on sending, to nobody."""


class Underway(Protocol):
    """A request whose answer comes later, to its asker."""

    def begin(self) -> None:
        """Go. The answer may come before this returns."""

    def abandon(self) -> None:
        """Nobody wants the answer any more."""


class House(Protocol):
    """What all clients share."""

    limits: Limits
    problems: Problems

    @property
    def tick(self) -> int:
        """Patrols so far: the clock."""

    def handle(self, request: Request, asker: Asker) -> Underway | Answer:
        """An answer, or what brings one once it has begun."""


class _Ready(NamedTuple):
    """A whole request that waits for its turn."""

    request: Request
    keep_alive: bool


class Clients:
    """Everyone who is connected."""

    def __init__(self, house: House, refused: Callable[[], None]) -> None:
        self.house = house
        self.count_refused = refused
        self.all: set[Front] = set()
        self.is_stopping = False

    def front(self) -> "Front":
        """What asyncio makes for each connection."""
        return Front(self)

    def patrol(self) -> None:
        """Close the connections that take too long."""
        for front in list(self.all):
            front.check_times(self.house.tick)

    def stop(self) -> None:
        """Let everyone have the answer that is under way, and go."""
        self.is_stopping = True
        for front in list(self.all):
            front.stop()

    def close(self) -> None:
        """Close all connections at once."""
        for front in list(self.all):
            front.abort()


class Front(asyncio.Protocol):
    """One connection of a client."""

    def __init__(self, clients: Clients) -> None:
        house = clients.house
        self._clients = clients
        self._house = house
        self._limits = house.limits
        self._transport = cast("asyncio.Transport", None)
        self._parser = self._new_parser()
        self._peer = b"unknown"
        self._ahead: deque[_Ready] = deque()
        self._exchange: Underway | None = None
        self._is_asking = False
        self._keep_alive = True
        self._to_head = False
        self._refusal: Exception | None = None
        self._is_closing = False
        self._is_paused = False
        self._is_reading = False
        self._in_head = False
        self._since = house.tick
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._host = b""
        self._expects_continue = False
        self._offers_upgrade = False
        """Is the head at hand one that the parser ends the message at, because it offers another protocol?"""
        self._parts: list[bytes] = []
        self._head_size = 0
        """Of the parts of the head that are whole."""
        self._received = 0
        """Of a body, or of a head with a part that does not come to its end."""

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self._peer = (f"[{peer[0]}]" if ":" in peer[0] else peer[0]).encode()
        everyone = self._clients.all
        everyone.add(self)
        if len(everyone) > 2 * self._limits.connections or self._clients.is_stopping:
            transport.abort()  # type: ignore[attr-defined] # a stream's transport has it
        elif len(everyone) > self._limits.connections:
            self._refuse(TooManyConnections())

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002, D102
        self._clients.all.discard(self)
        self._is_closing = True
        self._ahead.clear()
        if self._exchange is not None:
            self._exchange.abandon()
            self._exchange = None

    def data_received(self, data: bytes) -> None:  # noqa: D102
        if self._is_closing or self._refusal is not None:
            return
        size = len(data)
        while data:
            try:
                self._parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as stop:
                if self._refusal is not None:
                    return
                self._read_again()
                data = data[stop.args[0] :]
            except httptools.HttpParserError as error:
                self._refuse(fault_of(error, self._parser, data))
                break
        if self._in_head:
            self._received += size
            if self._received > self._limits.head_bytes:
                self._refuse(HeadTooLarge(self._limits.head_bytes))

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        # Of the version we judge ourselves; what follows the last request is nobody's.
        parser.set_dangerous_leniencies(lenient_version=True, lenient_data_after_close=True)
        return parser

    def _read_again(self) -> None:
        """The request offers another protocol, which is ignored: its head is read again without the offer."""
        before, since = self._parser, self._since
        self._parser = self._new_parser()  # the one before may think that this was the last request
        self._parser.feed_data(
            without_upgrade(before.get_method(), before.get_http_version(), self._url, self._headers)
        )
        self._since = since

    # The parser's callbacks

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url = b""
        self._headers = []
        self._expects_continue = self._offers_upgrade = False
        self._parts = []
        self._received = 0
        self._head_size = 0
        self._in_head = self._is_reading = True
        if not self._is_asking:
            self._since = self._house.tick

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer is nothing to us."""
        if not self._in_head:
            return
        name, value = name.lower(), value.strip(BLANKS)
        self._head_size += len(name) + len(value)
        self._headers.append((name, value))
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._in_head = False
        if self._refusal is not None:
            return
        if self._head_size + len(self._url) > self._limits.head_bytes:
            self._refuse(HeadTooLarge(self._limits.head_bytes))
            return
        parser = self._parser
        version = parser.get_http_version()
        try:
            target, self._host = checked(parser.get_method(), version, self._url, self._headers)
        except Refusal as refusal:
            self._refuse(refusal)
            return
        if parser.should_upgrade():
            self._offers_upgrade = True
            return
        self._url = target
        self._received = 0
        if self._expects_continue and version == "1.1" and not self._is_asking:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        if self._refusal is not None:
            return
        self._received += len(body)
        if self._received > self._limits.body_bytes:
            self._refuse(BodyTooLarge(self._limits.body_bytes))
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """A request is here, whole."""
        if self._refusal is not None or self._is_closing or self._offers_upgrade:
            return
        self._is_reading = False
        parser = self._parser
        keep_alive = parser.should_keep_alive() and parser.get_http_version() == "1.1"
        request = Request(
            parser.get_method(),
            self._url,
            self._headers,
            b"".join(self._parts),
            self._host,
            self._peer,
        )
        if self._is_asking:
            self._ahead.append(_Ready(request, keep_alive))
            if len(self._ahead) >= self._limits.pipelined and not self._is_paused:
                self._is_paused = True
                self._transport.pause_reading()
        else:
            self._ask(request, keep_alive)

    # Answers

    def _ask(self, request: Request, keep_alive: bool) -> None:  # noqa: FBT001 - nobody else calls it
        self._is_asking = True
        self._keep_alive = keep_alive
        self._to_head = request.method == b"HEAD"
        found = self._house.handle(request, self)
        if isinstance(found, Answer):
            self.answered(found)
        else:
            self._exchange = found
            found.begin()

    def passed(self, answer: Passed, revision: bytes) -> None:
        """A backend's answer."""
        self._write(answer.to_client(revision, close=self._is_last))

    def refused(self, error: Exception) -> None:
        """There is none."""
        self.answered(self._house.problems.answer(error))

    def answered(self, answer: Answer) -> None:
        """An answer of our own."""
        self._write(own(answer, close=self._is_last, to_head=self._to_head))

    @property
    def _is_last(self) -> bool:
        return not self._keep_alive or self._clients.is_stopping

    def _write(self, data: bytes) -> None:
        self._exchange = None
        self._is_asking = False
        if self._is_closing:
            return
        self._since = self._house.tick
        self._transport.write(data)
        if self._is_last:
            self._is_closing = True
            self._transport.close()
        elif self._ahead:
            following = self._ahead.popleft()
            if self._is_paused:
                self._is_paused = False
                self._transport.resume_reading()
            self._ask(*following)
        elif self._refusal is not None:
            self._send_refusal(self._refusal)

    # The end

    def _refuse(self, error: Exception) -> None:
        """Answer with a problem, after what is being answered, and close."""
        if self._refusal is not None or self._is_closing:
            return
        self._refusal = error
        self._in_head = self._is_reading = False
        self._clients.count_refused()
        if not self._is_asking:
            self._send_refusal(error)

    def _send_refusal(self, error: Exception) -> None:
        self._is_closing = True
        self._since = self._house.tick
        to_head = self._parser.get_method() == b"HEAD"
        self._transport.write(own(self._house.problems.answer(error), close=True, to_head=to_head))
        # Closed at once, a client that is still sending would be reset before it has read why. So the patrol closes.
        self._transport.write_eof()

    def stop(self) -> None:
        """Go, after the answer that is under way."""
        if not self._is_asking and not self._is_closing:
            self._is_closing = True
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def check_times(self, tick: int) -> None:
        """Has the client taken too long to send its request or to take its answer, or nothing come for too long?"""
        waited, limits = tick - self._since, self._limits
        if self._is_closing:
            if waited > limits.ticks(_LINGER_SECONDS):
                has_more = self._refusal is None and self._transport.get_write_buffer_size() > 0
                if not has_more or waited > limits.ticks(limits.request_seconds):
                    self._transport.abort()
        elif self._is_asking:
            return
        elif self._is_reading:
            if waited > limits.ticks(limits.request_seconds):
                self._refuse(RequestTimeout())
        elif self._transport.get_write_buffer_size():
            if waited > limits.ticks(limits.request_seconds):
                self._transport.abort()
        elif waited > limits.ticks(limits.idle_seconds):
            self._is_closing = True
            self._transport.close()
