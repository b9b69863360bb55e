"""The readers of what strangers send, each with what must hold of it whatever comes.

A target takes bytes. It returns when they were read, or refused in the one way that its reader names; anything else,
an exception or a failed comparison, is a fault. To add a reader, write a function and list it in `TARGETS`.
"""

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

import msgspec

from cludale.adapters.cosmos.queries import Cursor
from cludale.adapters.dapr.inbound import Inbound
from cludale.kernel.backoff import Backoff
from cludale.kernel.mailbox import mailbox
from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Invalid, NotFound
from cludale.kernel.times import parse_date, parse_time, rfc3339
from cludale.kernel.wire import Codec
from cludale.kernel.wire import Malformed as MalformedEvent
from cludale.ports.bus import Acknowledgement, Delivery, Subscription
from cludale.ports.keys import KeyListing, ListedKey
from cludale.ports.records import UnusableCursor
from cludale.runtime.cursors import Cursors
from cludale.services import catalogue
from cludale.services.concerts import api as concerts_api
from cludale.services.concerts import key_api
from cludale.services.notifications import api as notifications_api
from cludale.services.orders import api as orders_api
from cludale.services.payments import api as payments_api
from cludale.services.tickets import codes
from cludale.web.access import Access
from cludale.web.bodies import Body
from cludale.web.http1 import Malformed as MalformedAnswer
from cludale.web.http1 import Reader
from cludale.web.keyring import KeyRing
from cludale.web.limits import Addresses
from cludale.web.open_connections import ConnectionLimits, Connections
from cludale.web.problems import Problems, ScopeMissing
from cludale.web.protocol import Connection
from cludale.web.queries import QueryReader
from cludale.web.responses import Response, json_response
from cludale.web.router import Endpoint, Router
from cludale.web.routing import NoParameters, Request

Target = Callable[[bytes], None]

_API_MODULES = (concerts_api, key_api, orders_api, payments_api, notifications_api)
_CODEC = Codec(catalogue.CATALOGUE)


def _text(data: bytes) -> str:
    """Any text, also what is no valid UTF-8 in the form in which HTTP brings it."""
    return data.decode("utf-8", "surrogateescape")


def envelope(data: bytes) -> None:
    """An event from the wire: refused as malformed, or read, and then written and read again the same."""
    try:
        read = _CODEC.decode(data)
    except MalformedEvent:
        return
    assert _CODEC.decode(_CODEC.encode(read)) == read


def cursor(data: bytes) -> None:
    """A cursor that a caller gives back: refused, or one that was given for this query."""
    cursors = Cursors(Cursor)
    try:
        read = cursors.read(_text(data), "asked")
    except UnusableCursor:
        return
    assert read is not None
    assert read.question == "asked"
    assert cursors.read(cursors.write(read), "asked") == read


@cache
def _access() -> Access:
    ring = KeyRing(b"pepper", now=lambda: datetime.now(UTC), monotonic=lambda: 0.0)
    access = Access(organizer_key="first-key", token_key="token", token_key_too="before", keys=ring)
    kept = ListedKey(
        id="key-1", digest=ring.digest("key-1.secret"), organizer="acme", scopes=(Scope.READ,), concert_id=None
    )
    ring.learn(KeyListing(version=1, keys=[kept]), asked_at=0.0)
    return access


def token(data: bytes) -> None:
    """What stands in `Authorization`: it opens an order or names a principal only if it is the very credential."""
    access, text = _access(), _text(data)
    bearer = text[7:].strip() if text[:7].lower() == "bearer " else ""
    principal = access.principal(text)
    assert (principal is not None) == (bearer in {"first-key", "key-1.secret"})
    opened = True
    try:
        access.of_order("order-1", text, Scope.READ)
    except (NotFound, ScopeMissing):
        opened = False
    assert opened is (principal is not None or bearer == access.token_for("order-1") or _is_of_before(bearer))


@cache
def _of_before() -> str:
    return Access(organizer_key="x", token_key="before").token_for("order-1")


def _is_of_before(bearer: str) -> bool:
    return bearer == _of_before()


class _Wire:
    """The transport of a connection that is fed by hand."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        """Keep what the server says."""
        self.written += data

    def writelines(self, parts: list[bytes]) -> None:
        """The same."""
        self.written += b"".join(parts)

    def close(self) -> None:
        """The server ends the connection."""
        self.closed = True

    abort = close

    def get_extra_info(self, name: str) -> object:  # noqa: ARG002 - asyncio's
        """Whose connection it is."""
        return ("192.0.2.1", 1)

    def is_closing(self) -> bool:
        """Is it ended?"""
        return self.closed

    def can_write_eof(self) -> bool:
        """It is no TLS."""
        return True

    def pause_reading(self) -> None:
        """The server takes no more for now."""

    resume_reading = write_eof = pause_reading


@cache
def _server() -> tuple[asyncio.AbstractEventLoop, Connections]:
    loop = asyncio.new_event_loop()
    problems = Problems()

    def echo(request: Request) -> Response:
        return json_response({"bytes": len(request.body), "segment": request.segment, "query": request.query})

    endpoints = [Endpoint("POST", "/orders", echo), Endpoint("GET", "/concerts/{concert_id}", echo)]
    router = Router(endpoints, lambda _method, _path, error: problems.answer(error))

    async def connections() -> Connections:
        return Connections(router.find, problems, ConnectionLimits())

    return loop, loop.run_until_complete(connections())


def http(data: bytes) -> None:
    """Bytes of a client, in two parts: heads and bodies. Each answer is a whole one, and none says 500."""
    loop, server = _server()
    half = data[0] % (len(data) + 1) if data else 0

    async def feed() -> bytes:
        wire, connection = _Wire(), Connection(server)
        connection.connection_made(cast("Any", wire))
        for part in (data[:half], data[half:]):
            if part and not wire.closed:
                connection.data_received(part)
        connection.connection_lost(None)
        return wire.written

    said = loop.run_until_complete(feed())
    assert not said or said.startswith(b"HTTP/1.1 "), said
    assert b"HTTP/1.1 500" not in said, said


def answer(data: bytes) -> None:
    """The answer of a server that is called, byte by byte and whole: the same of both."""
    found = []
    for pieces in (1, max(1, len(data))):
        reader, read = Reader(), None
        try:
            for at in range(0, len(data), pieces):
                read = reader.feed(data[at : at + pieces])
                if read is not None:
                    break
            found.append(read or reader.end())
        except MalformedAnswer:
            found.append(None)
    # what follows a whole answer makes the whole read malformed, and byte by byte it is never looked at
    assert found[1] is None or found[0] is not None


def _routes() -> Iterator[Any]:
    for module in _API_MODULES:
        for _, kind in inspect.getmembers(module, inspect.isclass):
            for _, member in inspect.getmembers(kind, inspect.isfunction):
                marked = getattr(member, "route", None)
                if marked is not None:
                    yield marked


@cache
def _bodies() -> list[Body[Any]]:
    return [Body(kind) for kind in dict.fromkeys(each.body for each in _routes() if each.body is not None)]


@cache
def _queries() -> list[QueryReader[Any]]:
    kinds = dict.fromkeys(each.query for each in _routes() if each.query not in (None, NoParameters))
    return [QueryReader(kind) for kind in kinds]


def body(data: bytes) -> None:
    """The body of each route that takes one: refused with its fields named, or read."""
    kinds = _bodies()
    chosen, sent = kinds[data[0] % len(kinds)] if data else kinds[0], data[1:]
    try:
        read = chosen.decode(sent)
    except Invalid as refused:
        msgspec.json.encode(refused.values)
        return
    msgspec.json.encode(read)


def query(data: bytes) -> None:
    """The query of each collection: refused with its parameters named, or read."""
    kinds = _queries()
    chosen, sent = kinds[data[0] % len(kinds)] if data else kinds[0], data[1:]
    try:
        chosen.read(sent.decode("latin-1"))
    except Invalid as refused:
        msgspec.json.encode(refused.values)


def moment(data: bytes) -> None:
    """A time: refused with words, or read as the time that it says in UTC."""
    text = _text(data)
    try:
        read = parse_time(text)
    except ValueError:
        pass
    else:
        assert parse_time(rfc3339(read)) == read
    try:
        day = parse_date(text)
    except ValueError:
        return
    assert day.isoformat() == text


def address(data: bytes) -> None:
    """An e-mail address: refused, or one whose domain is ASCII and which is read again the same."""
    try:
        read = mailbox(_text(data))
    except ValueError:
        return
    assert read.domain.isascii()
    assert not set("\r\n\0 ") & set(read.local + read.domain)
    assert mailbox(f"{read.local}@{read.domain}") == read


def forwarded(data: bytes) -> None:
    """`X-Forwarded-For` from a trusted proxy and from a stranger: a stranger's is never believed."""
    addresses = Addresses(["10.0.0.0/8"])
    assert addresses.of("192.0.2.1", {b"x-forwarded-for": data}) == "192.0.2.1"
    addresses.of("10.0.0.1", {b"x-forwarded-for": data})


_TICKET_KEY = codes.key_of(b"fuzz" * 8)
_CLAIMS = codes.Claims(
    "concert-1",
    f"order-{'0' * 31}1",
    1,
    2,
    1,
    "main",
    datetime(2027, 6, 5, 17, tzinfo=UTC),
    datetime(2027, 6, 6, 4, tzinfo=UTC),
)


def ticket(data: bytes) -> None:
    """A ticket's code, as text and as the bytes within: refused, or it says what was signed here and nothing else.

    The same bytes as claims that were signed here: refused, or read.
    """
    for code in (_text(data), codes.base45(data)):
        try:
            codes.key_id_of(code)
            assert codes.read(code, _TICKET_KEY) == _CLAIMS
        except codes.Unreadable:
            continue
    with suppress(codes.Unreadable):
        codes.read(codes.message(data, _TICKET_KEY), _TICKET_KEY)


@cache
def _inbound() -> tuple[asyncio.AbstractEventLoop, Inbound]:
    class Ids:
        def new(self, prefix: str) -> str:
            return f"{prefix}-1"

        def jitter(self) -> float:
            return 0.5

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Acknowledgement]:
        return [Acknowledgement.SUCCESS] * len(deliveries)

    async def made() -> Inbound:
        inbound = Inbound(
            _CODEC, app_id="audit", ids=Ids(), backoff=Backoff(0.0, 0.0), attempts=1, dead_letters=cast("Any", None)
        )
        inbound.start([Subscription("audit", frozenset(catalogue.CATALOGUE.types), handle)])
        return inbound

    loop = asyncio.new_event_loop()
    return loop, loop.run_until_complete(made())


class _Entry(msgspec.Struct, rename="camel"):
    entry_id: str
    event: msgspec.Raw


class _Bulk(msgspec.Struct):
    entries: list[_Entry]


def bulk(data: bytes) -> None:
    """What the sidecar delivers: each entry of a bulk has its answer, in order; anything else has one."""
    loop, inbound = _inbound()
    log = logging.getLogger(Inbound.__module__)
    log.disabled = True  # it says a line about each that is none of ours
    try:
        said = msgspec.json.decode(loop.run_until_complete(inbound.take(data)))
    finally:
        log.disabled = False
    known = {each.value for each in Acknowledgement}
    if "statuses" not in said:
        assert said["status"] in known
        return
    sent = msgspec.json.decode(data, type=_Bulk).entries  # an event's own bytes are not looked at
    assert [each["entryId"] for each in said["statuses"]] == [each.entry_id for each in sent]
    assert {each["status"] for each in said["statuses"]} <= known


TARGETS: dict[str, Target] = {
    each.__name__: each
    for each in (
        envelope,
        cursor,
        token,
        http,
        answer,
        body,
        query,
        moment,
        address,
        forwarded,
        ticket,
        bulk,
    )
}
"""By name."""

SEEDS: dict[str, list[bytes]] = {
    "envelope": [
        b'{"specversion":"1.0","id":"e1","type":"OrderPaid","source":"orders","subject":"order-1",'
        b'"time":"2027-06-05T19:30:00Z","datacontenttype":"application/json","dataversion":"1",'
        b'"correlationid":"order-1","causationid":"e0","data":{"orderId":"order-1"}}',
    ],
    "cursor": [Cursors(Cursor).write(Cursor("asked", "2027", 4)).encode(), b"W10="],
    "token": [b"Bearer first-key", b"Bearer key-1.secret", b"bearer   key-1.secrets", b"Basic Zmlyc3Q6a2V5"],
    "http": [
        b"POST /orders HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}GET /concerts/a HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST /orders HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
    ],
    "answer": [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
    "body": [
        b'\x00{"concertId":"c-1","userId":"u","quantity":2,"email":"a@b.example","phone":"+4915112345678"}',
        b'\x01{"artist":"A","date":"2099-06-05","totalSeats":1,"price":{"amount":1,"currency":"EUR"}}',
    ],
    "query": [b"\x00limit=5&after=abc&status=Paid&concertId=c-1", b"\x01q=x&from=2027-06-05&to=2028-01-01T00:00:00Z"],
    "moment": [b"2027-06-05T19:30:00.123456789+02:00", b"2016-12-31T23:59:60Z", b"2027-06-05", b"0001-01-01t00:00:00z"],
    "address": [b"a.b@example.com", "ä@münchen.example".encode(), b"x@xn--mnchen-3ya.example"],
    "ticket": [
        codes.signed(_CLAIMS, _TICKET_KEY).encode(),
        codes.unbase45(codes.signed(_CLAIMS, _TICKET_KEY)),
        bytes.fromhex("a603624d69041a6a1b2c3d051a6a1b2c3d075000000000000000000000000000000001616e8301020161736141"),
    ],
    "bulk": [
        b'{"entries":[{"entryId":"1","event":"e30="},{"entryId":"2","event":{"id":"e1"}}]}',
        b'{"data_base64":"e30="}',
        b'{"specversion":"1.0","id":"e1","type":"OrderPaid"}',
    ],
    "forwarded": [b"192.0.2.7, 10.1.2.3", b"2001:db8::1", b"unknown, 1.2.3.4:80"],
}
"""What each begins with."""
