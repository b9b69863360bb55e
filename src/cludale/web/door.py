"""The door: where connections come in. Puts limits on them and answers the hot routes before any framework sees them.

It stands on uvicorn's HTTP protocol and takes over two things: what a client may take in time and size, which
uvicorn does not limit, and the express lane, which costs a third of the framework's way. All other requests go
uvicorn's usual way into the ASGI app.
"""

import asyncio
import re
from collections.abc import Awaitable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from cludale.http.answers import Answer
from cludale.http.framing import BLANKS, checked, fault_of, without_upgrade
from cludale.http.problems import (
    BodyTooLarge,
    HeadTooLarge,
    Problems,
    RequestTimeout,
    TooManyConnections,
)
from cludale.http.routing import Express, ExpressHandler, ExpressRequest
from cludale.kernel.refusals import Refusal

HEAD_LIMIT_BYTES = 32_768
INTERNAL_BODY_BYTES = 4 * 1024 * 1024
"""As much as a Dapr sidecar sends at once."""
PATROL_SECONDS = 1.0
LINGER_TICKS = 2
"""How many patrols a client that was refused may go on sending, to nobody."""

_SEGMENT = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Like kernel.ids.ID_PATTERN; whatever else is in a path goes the framework's way."""


class Limits(NamedTuple):
    """What one connection may take, and how many there may be."""

    body_bytes: int = 65_536
    connections: int = 4_096
    request_seconds: float = 20
    idle_seconds: float = 65


class _Pattern(NamedTuple):
    """A path with one `{}` segment."""

    prefix: bytes
    suffix: bytes
    handler: ExpressHandler


class _Table(NamedTuple):
    """The express routes of one method."""

    exact: dict[bytes, ExpressHandler]
    patterns: list[_Pattern]


class Doorkeeper:
    """What all connections share: the express routes, the limits, and the patrol that enforces the times."""

    def __init__(
        self, express: Express, problems: Problems, limits: Limits, *, internal: Express | None = None
    ) -> None:
        """`internal` routes are for parts of the platform: their bodies may have INTERNAL_BODY_BYTES."""
        self.problems = problems
        self.roomy = frozenset((internal or {}).values())
        """The handlers that take a large body."""
        self.limits = limits
        self.tables = _tables({**express, **(internal or {})})
        self.express_requests = 0
        self.refused = 0
        self.tick = 0
        """Patrols so far: the clock of connections. Reading it costs nothing."""
        self.request_ticks = max(1, round(limits.request_seconds / PATROL_SECONDS))
        self.idle_ticks = max(1, round(limits.idle_seconds / PATROL_SECONDS))
        self._doors: set[Door] = set()
        self._heads: dict[tuple[int, str], bytes] = {}
        self._headers: list[tuple[bytes, bytes]] | None = None

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._doors)

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches, by metric name."""
        return {
            "cludale_connections": self.connections,
            "cludale_express_requests_total": self.express_requests,
            "cludale_refused_at_the_door_total": self.refused,
        }

    def protocol(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> "Door":
        """What uvicorn makes for each connection."""
        return Door(self, config, server_state, app_state, _loop)

    def came(self, door: "Door") -> None:
        """A connection was made."""
        self._doors.add(door)

    def went(self, door: "Door") -> None:
        """A connection was lost."""
        self._doors.discard(door)

    async def patrol(self) -> None:
        """Close, every second, the connections that take too long. Runs until it is cancelled."""
        while True:
            await asyncio.sleep(PATROL_SECONDS)
            self.tick += 1
            for door in list(self._doors):
                door.check_times(self.tick)

    def head(self, status: int, media_type: str, server_headers: list[tuple[bytes, bytes]]) -> bytes:
        """Status line and headers as far as `content-length: `; uvicorn's own headers (date) change once a second."""
        if server_headers is not self._headers:
            self._headers = server_headers
            self._heads.clear()
        head = self._heads.get((status, media_type))
        if head is None:
            lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()]
            lines += [b"%s: %s\r\n" % header for header in server_headers]
            lines.append(f"content-type: {media_type}\r\ncontent-length: ".encode())
            head = self._heads[status, media_type] = b"".join(lines)
        return head


def _tables(express: Express) -> Mapping[bytes, _Table]:
    tables: dict[bytes, _Table] = {}
    for (method, path), handler in express.items():
        table = tables.setdefault(method.encode(), _Table({}, []))
        prefix, gap, suffix = path.encode().partition(b"{}")
        if gap:
            table.patterns.append(_Pattern(prefix, suffix, handler))
        else:
            table.exact[prefix] = handler
    return tables


class _InExpress:
    """Stands where uvicorn keeps the request it is answering, while the express lane answers one."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self) -> None:
        self.response_complete = True
        self.keep_alive = True
        self.disconnected = False
        self.message_event = asyncio.Event()


class Door(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        keeper: Doorkeeper,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._set_parser()
        self._keeper = keeper
        self._express = _InExpress()
        self._handler: ExpressHandler | None = None
        self._segment = ""
        self._body = b""
        self._body_limit = keeper.limits.body_bytes
        self._received = 0
        self._read = 0
        """How much the read at hand brought."""
        self._in_head = False
        self._is_reading = False
        self._is_refused = False
        self._offers_upgrade = False
        """Is the head at hand one that the parser ends the message at, because it offers another protocol?"""
        self._since = keeper.tick
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there; one too many is turned away."""
        super().connection_made(transport)
        self._keeper.came(self)
        if self._keeper.connections > 2 * self._keeper.limits.connections:
            transport.abort()
        elif self._keeper.connections > self._keeper.limits.connections:
            self._refuse(TooManyConnections())

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone; what it asked for is finished all the same."""
        self._keeper.went(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._is_refused:
            return
        self._read = len(data)
        while data:
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as stop:
                if self._is_refused:
                    return
                self._read_again()
                data = data[stop.args[0] :]
            except httptools.HttpParserError as error:
                self._refuse(fault_of(error, self.parser, data))
                break
        if self._in_head:
            self._received += self._read
            if self._received > HEAD_LIMIT_BYTES:
                self._refuse(HeadTooLarge(HEAD_LIMIT_BYTES))

    def _set_parser(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        # Of the version we judge ourselves; what follows the last request is nobody's.
        self.parser.set_dangerous_leniencies(lenient_version=True, lenient_data_after_close=True)

    def _read_again(self) -> None:
        """The request offers another protocol, which is ignored: its head is read again without the offer."""
        before, since = self.parser, self._since
        self._set_parser()  # the one before may think that this was the last request
        self.parser.feed_data(without_upgrade(before.get_method(), before.get_http_version(), self.url, self.headers))
        self._since = since

    # Parser callbacks, in the order in which they come

    def on_message_begin(self) -> None:
        """A request begins. What uvicorn prepares here is prepared later, and only for those that go its way."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._received = 0
        self._in_head = True
        self._is_reading = True
        self._offers_upgrade = False
        self._since = self._keeper.tick

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer is nothing to us."""
        if not self._in_head:
            return
        name, value = name.lower(), value.strip(BLANKS)
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head of a request is here: which way does it go?"""
        may_be_large = self._received + self._read > HEAD_LIMIT_BYTES
        self._in_head = False
        self._received = 0
        if self._is_refused:
            return
        if may_be_large and self._head_bytes() > HEAD_LIMIT_BYTES:
            self._refuse(HeadTooLarge(HEAD_LIMIT_BYTES))
            return
        version = self.parser.get_http_version()
        try:
            target, host = checked(self.parser.get_method(), version, self.url, self.headers)
        except Refusal as refusal:
            self._refuse(refusal)
            return
        if self.parser.should_upgrade():
            self._offers_upgrade = True
            return
        if target is not self.url:
            self.url = target
            self.headers = [(b"host", host), *(header for header in self.headers if header[0] != b"host")]
        if version == "1.0":
            self.expect_100_continue = False
        cycle: Any = self.cycle  # None at first, whatever uvicorn declares
        if cycle is None or cycle.response_complete:
            self._handler = self._find_express()
            if self._handler is not None:
                self._body = b""
                if self._keeper.roomy:
                    is_roomy = self._handler in self._keeper.roomy
                    self._body_limit = INTERNAL_BODY_BYTES if is_roomy else self._keeper.limits.body_bytes
                express = self._express
                express.response_complete = False
                express.keep_alive = version != "1.0" and self.parser.should_keep_alive()
                self.cycle = express  # type: ignore[assignment] # as much of a cycle as uvicorn looks at
                return
        self._body_limit = self._keeper.limits.body_bytes
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.headers, self.expect_100_continue = url, headers, expects
        self.scope["headers"] = headers
        super().on_headers_complete()

    def _head_bytes(self) -> int:
        """The size of the head, without the little that is around its parts."""
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _find_express(self) -> ExpressHandler | None:
        table = self._keeper.tables.get(self.parser.get_method())
        if table is None or self.expect_100_continue:
            return None
        url = self.url
        handler = table.exact.get(url)
        if handler is not None:
            return handler
        for prefix, suffix, each in table.patterns:
            if url.startswith(prefix) and url.endswith(suffix):
                segment = url[len(prefix) : -len(suffix)]
                if _SEGMENT.fullmatch(segment):
                    self._segment = segment.decode()
                    return each
        return None

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        if self._is_refused:
            return
        self._received += len(body)
        if self._received > self._body_limit:
            self._refuse(BodyTooLarge(self._body_limit))
        elif self._handler is not None:
            self._body = self._body + body if self._body else body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is here, whole."""
        if self._is_refused or self._offers_upgrade:
            return
        self._is_reading = False
        handler = self._handler
        if handler is None:
            super().on_message_complete()
            return
        self._handler = None
        try:
            answer = handler(ExpressRequest(self._segment, dict(self.headers), self._body))
        except Exception as error:  # noqa: BLE001 - raised through the parser it would pass for the client's mistake
            answer = self._keeper.problems.answer(error)
        if isinstance(answer, Answer):
            self._answered(answer)
        else:
            self._task = self.loop.create_task(self._answer(answer))

    # Answers

    async def _answer(self, awaited: Awaitable[Answer]) -> None:
        try:
            answer = await awaited
        except Exception as error:  # noqa: BLE001 - each becomes a problem; those nobody foresaw are logged there
            answer = self._keeper.problems.answer(error)
        self._answered(answer)

    def _answered(self, answer: Answer) -> None:
        keeper, express = self._keeper, self._express
        keeper.express_requests += 1
        express.response_complete = True
        if express.disconnected or self.transport.is_closing():
            return
        self._write(answer, close=not express.keep_alive)
        if express.keep_alive:
            self.on_response_complete()
        else:
            self.transport.close()

    def _write(self, answer: Answer, *, close: bool, to_head: bool = False) -> None:
        status, body, media_type, headers = answer
        head = self._keeper.head(status, media_type, self.server_state.default_headers)
        if not headers and not close:
            self.transport.write(b"%s%d\r\n\r\n%s" % (head, len(body), body))
            return
        lines = [b"%s: %s\r\n" % (name.encode(), value.encode()) for name, value in headers]
        if close:
            lines.append(b"connection: close\r\n")
        sent = b"" if to_head else body
        self.transport.write(b"%s%d\r\n%s\r\n%s" % (head, len(body), b"".join(lines), sent))

    def on_response_complete(self) -> None:
        """Go on with the next request of the pipeline, if there is one. The patrol takes care of idle connections."""
        self.server_state.total_requests += 1
        self._since = self._keeper.tick
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)

    def _refuse(self, error: Exception) -> None:
        """Answer with a problem, if nothing else is being answered, and close."""
        if self._is_refused:
            return
        self._is_refused = True
        self._in_head = self._is_reading = False
        self._handler = None
        self._keeper.refused += 1
        cycle: Any = self.cycle
        answering = False
        if not (cycle is None or cycle.response_complete):
            answering = bool(self.pipeline) or (self._task is not None and not self._task.done())
            answering = answering or getattr(cycle, "response_started", False)
            cycle.disconnected = True
            cycle.message_event.set()
        if answering or self.transport.is_closing():
            self.transport.close()
            return
        answer = self._keeper.problems.answer(error)
        self._write(answer, close=True, to_head=self.parser.get_method() == b"HEAD")
        # Closed at once, a client that is still sending would be reset before it has read why. So the patrol closes.
        self._since = self._keeper.tick
        self.transport.write_eof()

    def check_times(self, tick: int) -> None:
        """Has the client taken too long to send its request, or nothing come for too long?"""
        waited = tick - self._since
        if self._is_refused:
            if waited >= LINGER_TICKS:
                self.transport.abort()
            return
        cycle: Any = self.cycle
        if self._is_reading:
            if waited > self._keeper.request_ticks:
                self._refuse(RequestTimeout())
        elif waited > self._keeper.idle_ticks and (cycle is None or cycle.response_complete):
            if self.transport.get_write_buffer_size():
                self.transport.abort()  # nobody reads the answer; close() would wait for that
            else:
                self.transport.close()
