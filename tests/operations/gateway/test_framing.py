"""The server reads every request by one rule set, and HAProxy before it takes none otherwise than it passes it on.

Where it answers otherwise than the server (OTHERWISE), it refuses more, or takes what RFC 9112 lets a recipient take,
and writes it anew, with one length and one host: no request means one thing to it and another to the server.
"""

import asyncio
import re
from contextlib import suppress
from typing import NamedTuple

import pytest
from tests.operations.gateway.conftest import Real

ORDER = b'{"concertId":"the-concert","userId":"me","quantity":1}'
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(ORDER), ORDER)
SIZE = len(ORDER)
HEADERS = b"host: x\r\ncontent-length: %d\r\nconnection: close\r\n" % SIZE
FIRST = b"POST PATH HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n" % SIZE
LAST = b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
TAKEN = b"POST PATH HTTP/1.1\r\n" + HEADERS + b"\r\n" + ORDER
OLD = TAKEN.replace(b"HTTP/1.1", b"HTTP/1.0")


def _post(*headers: bytes, target: bytes = b"PATH", version: bytes = b"HTTP/1.1", method: bytes = b"POST") -> bytes:
    lines = b"".join(each + b"\r\n" for each in headers)
    return b"%s %s %s\r\n%s%s\r\n%s" % (method, target, version, HEADERS, lines, ORDER)


def _coded(*headers: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    lines = b"".join(each + b"\r\n" for each in headers)
    return b"POST PATH %s\r\nhost: x\r\nconnection: close\r\n%s\r\n%s" % (version, lines, CHUNKED)


def _host(*hosts: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    lines = b"".join(b"host: " + each + b"\r\n" for each in hosts)
    return b"GET /livez %s\r\nconnection: close\r\n%s\r\n" % (version, lines)


def _get(target: bytes, method: bytes = b"GET") -> bytes:
    return b"%s %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n" % (method, target)


UPGRADE = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AA"
KEPT_OPEN = FIRST + UPGRADE + b"\r\n\r\n" + ORDER
READ = b"GET /livez HTTP/1.1\r\nhost: x\r\n" + UPGRADE + b"\r\n\r\n"
IN_CHUNKS = _coded(b"transfer-encoding: chunked")


def _trailed(*trailers: bytes, data: bytes = IN_CHUNKS) -> bytes:
    return data.removesuffix(b"\r\n") + b"".join(each + b"\r\n" for each in trailers) + b"\r\n"


CASES: list[tuple[str, bytes, list[int]]] = [
    # offers to change to another protocol are ignored, their bodies read, and what follows is answered
    ("an order", TAKEN, [201]),
    ("one that offers h2c", _post(UPGRADE), [201]),
    ("one that offers a websocket", _post(b"connection: Upgrade", b"upgrade: websocket"), [201]),
    ("one that offers TLS", _post(b"connection: upgrade", b"Upgrade: TLS/1.0, HTTP/1.1"), [201]),
    ("one that offers two", _post(b"connection: upgrade", b"upgrade: h2c", b"upgrade: websocket"), [201]),
    ("one that says it twice", _post(b"connection: upgrade", b"connection: upgrade", b"upgrade: h2c"), [201]),
    ("one that does not name it", _post(b"upgrade: h2c"), [201]),
    ("one that names no protocol", _post(b"connection: upgrade"), [201]),
    ("one of HTTP/1.0", _post(b"connection: upgrade", b"upgrade: h2c", version=b"HTTP/1.0"), [201]),
    ("a chunked one", _coded(b"transfer-encoding: chunked", UPGRADE), [201]),
    ("one and another request", KEPT_OPEN + LAST, [201, 200]),
    ("two", KEPT_OPEN * 2 + LAST, [201, 201, 200]),
    ("a read", READ + LAST, [200, 200]),
    ("many", READ * 40 + LAST, [200] * 41),
    ("one without a host", READ.replace(b"host: x\r\n", b"") + LAST, [400]),
    ("one in an unknown coding", _coded(b"transfer-encoding: gzip, chunked", UPGRADE), [501]),
    # Host
    ("no host", _host(), [400]),
    ("no host in HTTP/1.0", _host(version=b"HTTP/1.0"), [200]),
    ("two hosts", _host(b"x", b"y"), [400]),
    ("the same host twice", _host(b"x", b"x"), [400]),
    ("two hosts in HTTP/1.0", _host(b"x", b"y", version=b"HTTP/1.0"), [400]),
    ("an empty host", _host(b""), [400]),
    ("a host with blanks around it", _host(b"  x:80 \t"), [200]),
    ("a host with a port", _host(b"tickets.example.com:8080"), [200]),
    ("an IPv6 host", _host(b"[::1]:8080"), [200]),
    ("a host with a blank", _host(b"x y"), [400]),
    ("a host with a path", _host(b"x/y"), [400]),
    ("a host with a user", _host(b"me@x"), [400]),
    ("a host with two ports", _host(b"x:1:2"), [400]),
    ("a host with a port of letters", _host(b"x:http"), [400]),
    ("a host beyond ASCII", _host("münchen".encode()), [400]),
    ("a list of hosts", _host(b"x, y"), [400]),
    # version
    ("HTTP/2.0", _post(version=b"HTTP/2.0"), [505]),
    ("HTTP/3.0", _post(version=b"HTTP/3.0"), [505]),
    ("HTTP/1.2", _post(version=b"HTTP/1.2"), [505]),
    ("HTTP/0.9", b"GET /livez\r\n\r\n", [505]),
    ("HTTP/2 without asking", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", [505]),
    ("HTTP/1.0", b"GET /livez HTTP/1.0\r\n\r\n", [200]),
    ("HTTP/1.0 that wants to go on", b"GET /livez HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", [200]),
    ("an order of HTTP/1.0 that wants to go on", OLD.replace(b"close", b"keep-alive"), [201]),
    ("no version", b"GET /livez HTTP\r\n\r\n", [400]),
    ("another protocol", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [400]),
    # transfer codings and lengths
    ("chunked", _coded(b"transfer-encoding: chunked"), [201]),
    ("Chunked", _coded(b"Transfer-Encoding: Chunked"), [201]),
    ("gzip", _coded(b"transfer-encoding: gzip"), [501]),
    ("gzip, then chunked", _coded(b"transfer-encoding: gzip, chunked"), [501]),
    ("gzip and chunked in two headers", _coded(b"transfer-encoding: gzip", b"transfer-encoding: chunked"), [501]),
    ("identity", _coded(b"transfer-encoding: identity"), [501]),
    ("one like chunked", _coded(b"transfer-encoding: xchunked"), [501]),
    ("one with a parameter", _coded(b"transfer-encoding: gzip;q=1, chunked"), [501]),
    ("chunked twice", _coded(b"transfer-encoding: chunked, chunked"), [400]),
    ("chunked in two headers", _coded(b"transfer-encoding: chunked", b"transfer-encoding: chunked"), [400]),
    ("no coding", _coded(b"transfer-encoding:"), [400]),
    ("a coding in HTTP/1.0", _coded(b"transfer-encoding: chunked", version=b"HTTP/1.0"), [400]),
    ("a length and a coding", _coded(b"content-length: 3", b"transfer-encoding: chunked"), [400]),
    ("a coding and a length", _coded(b"transfer-encoding: chunked", b"content-length: 3"), [400]),
    ("two lengths", _post(b"content-length: 3"), [400]),
    ("the same length twice", _post(b"content-length: %d" % SIZE), [400]),
    ("a length with blanks around it", TAKEN.replace(b"length: %d" % SIZE, b"length: \t %d \t" % SIZE), [201]),
    ("a length with a sign", TAKEN.replace(b"length: ", b"length: +"), [400]),
    ("a length below nothing", TAKEN.replace(b"length: ", b"length: -"), [400]),
    ("a list of lengths", TAKEN.replace(b"length: ", b"length: 3, "), [400]),
    ("a length of letters", TAKEN.replace(b"length: ", b"length: 0x"), [400]),
    ("a length beyond counting", TAKEN.replace(b"length: ", b"length: 9999999999999999999999"), [400]),
    ("no length", TAKEN.replace(b"length: %d" % SIZE, b"length:"), [400]),
    ("a chunk's extension", IN_CHUNKS.replace(b"\r\n{", b";a=b;c\r\n{"), [201]),
    ("a chunk's size that is none", IN_CHUNKS.replace(b"36\r\n", b"zz\r\n"), [400]),
    ("a trailer", _trailed(b"x-a: b"), [201]),
    ("a trailer that would be a header", _trailed(b"host: y", b"idempotency-key: \xff"), [201]),
    ("a trailer and another request", _trailed(b"host: y", data=IN_CHUNKS.replace(b"close", b"x")) + LAST, [201, 200]),
    # targets
    ("an absolute target", _post(target=b"http://x/orders"), [201]),
    ("an absolute target in capitals", _post(target=b"HTTP://X:80/orders"), [201]),
    ("an absolute target of TLS", _post(target=b"https://x/orders"), [201]),
    ("an absolute target of another host", _post(target=b"http://elsewhere.example/orders"), [201]),
    ("an absolute target without a host header", b"GET http://x/livez HTTP/1.1\r\n\r\n", [400]),
    ("an absolute target without a path", _get(b"http://x"), [200]),
    ("an absolute target with a query alone", _get(b"http://x?"), [200]),
    ("an absolute target with a user", _get(b"http://me@x/livez"), [400]),
    ("an absolute target without a host", _get(b"http:///livez"), [400]),
    ("an absolute target of another scheme", _get(b"ftp://x/livez"), [400]),
    ("the whole server's options", _get(b"*", b"OPTIONS"), [204]),
    ("the whole server's options, absolute", _get(b"http://x", b"OPTIONS"), [204]),
    ("a path's options", _get(b"/orders", b"OPTIONS"), [204]),
    ("a page's options", _get(b"/docs", b"OPTIONS"), [204]),
    ("a star for something else", _get(b"*"), [400]),
    ("a target without its slash", _get(b"livez"), [400]),
    ("a fragment", _get(b"/livez#a"), [400]),
    ("a target beyond ASCII", _get("/müsli".encode()), [400]),
    ("a target with a NUL", _get(b"/livez\0"), [400]),
    ("a very long target", _get(b"/livez?" + b"a" * 40_000), [431]),
    ("a tunnel", _get(b"x:80", b"CONNECT"), [501]),
    ("a tunnel that begins at once", _get(b"x:80", b"CONNECT") + LAST, [501]),
    # methods
    ("a method in small letters", _post(method=b"post"), [501]),
    ("a method that there is not", _post(method=b"BREW"), [501]),
    ("a method that begins like another", _post(method=b"POSTS"), [501]),
    ("a method that a path has not", _post(method=b"PUT"), [405]),
    ("a method of other servers", _post(method=b"PROPFIND"), [405]),
    ("a head", _get(b"/livez", b"HEAD"), [200]),
    ("a head without a host", b"HEAD /livez HTTP/1.1\r\n\r\n", [400]),
    # lines
    ("a blank before a colon", TAKEN.replace(b"host:", b"host :"), [400]),
    ("a line that goes on in the next", _post(b"x-a: b", b" c"), [400]),
    ("lines that end in LF", TAKEN.replace(b"\r\n", b"\n"), [400]),
    ("one line that ends in LF", TAKEN.replace(b"x\r\n", b"x\n"), [400]),
    ("a CR alone", _post(b"x-a: b\rc"), [400]),
    ("a NUL in a header", _post(b"x-a: b\0c"), [400]),
    ("a NUL in a header's name", _post(b"x-\0a: b"), [400]),
    ("a header without a colon", _post(b"x-a"), [400]),
    ("a header without a name", _post(b": a"), [400]),
    ("an empty line before", b"\r\n\r\n" + TAKEN, [201]),
    ("a header of many kilobytes", _post(b"x-a: " + b"b" * 40_000), [431]),
    # expectations
    ("one that asks first", _post(b"expect: 100-continue"), [100, 201]),
    ("one that asks first, in its own spelling", _post(b"Expect: 100-Continue \t"), [100, 201]),
    ("one that asks first in HTTP/1.0", _post(b"expect: 100-continue", version=b"HTTP/1.0"), [201]),
    ("one that asks first and is refused", _post(b"expect: 100-continue", b"host: y"), [400]),
    ("one that asks first and offers h2c", _post(b"expect: 100-continue", UPGRADE), [100, 201]),
    # headers that have one value
    ("two keys", _post(b"idempotency-key: a", b"idempotency-key: b"), [400]),
    ("the same key twice", _post(b"idempotency-key: a", b"idempotency-key: a"), [400]),
    ("two credentials", _post(b"authorization: Bearer a", b"authorization: Bearer b"), [400]),
    ("two media types", _post(b"content-type: application/json", b"content-type: text/xml"), [400]),
    ("two traces", _post(b"traceparent: a", b"traceparent: b"), [201]),
]  # fmt: skip

QUIET_SECONDS = 2
OTHERWISE: dict[str, list[int]] = {
    # refused here, ignored by the server: a websocket is asked for with GET
    "one that offers a websocket": [400],
    "one that offers two": [400],
    "an absolute target of another host": [400],
    "an absolute target with a query alone": [400],
    # refused with another status; the connection goes on where the request's end is known
    "one without a host": [400, 200],
    "one in an unknown coding": [422],
    "gzip": [400],
    "gzip, then chunked": [422],
    "gzip and chunked in two headers": [422],
    "identity": [400],
    "one like chunked": [400],
    "one with a parameter": [422],
    "HTTP/0.9": [400],
    "HTTP/2 without asking": [400, 400],
    # taken: two that say the same are one, chunked counts and the length is dropped, lines are made straight
    "the same host twice": [200],
    "the same length twice": [201],
    "a length and a coding": [201],
    "a coding and a length": [201],
    "a line that goes on in the next": [201],
    "lines that end in LF": [201],
    "one line that ends in LF": [201],
}
"""What HAProxy answers otherwise, by the case's name."""

_ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Z]")


class Told(NamedTuple):
    """What matters of the answers that came over one connection until it ended."""

    statuses: list[int]
    problems: list[bytes]
    allowed: list[bytes]


async def _all_told(real: Real, sent: bytes, *, piece: int | None = None) -> list[Told]:
    """What the server and the gateway say to these bytes, at whose PATH orders are placed."""
    data = sent.replace(b"PATH", b"/orders")
    return await asyncio.gather(*(_ask(each.port, data, piece) for each in (real.server, real.gateway)))


async def _ask(port: int, data: bytes, piece: int | None) -> Told:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for start in range(0, len(data), piece or len(data)):
            writer.write(data[start : start + (piece or len(data))])
            await asyncio.sleep(0)
        came = await _until_quiet(reader)
    finally:
        writer.close()
    statuses = [int(each) for each in _ANSWER.findall(came)]
    return Told(statuses, re.findall(rb'"type":"([^"]+)"', came), re.findall(rb"\r\nallow: ([^\r]*)", came))


async def _until_quiet(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection ends, or until nothing comes any more over one that could go on."""
    came = b""
    with suppress(TimeoutError):
        while data := await asyncio.wait_for(reader.read(65_536), QUIET_SECONDS if came else 15):
            came += data
    return came


@pytest.mark.parametrize(("name", "sent", "statuses"), CASES, ids=[each[0] for each in CASES])
@pytest.mark.slow
async def test_the_gateway_answers_as_safely_as_the_server(
    real: Real, name: str, sent: bytes, statuses: list[int]
) -> None:
    server, through = await _all_told(real, sent)
    assert server.statuses == statuses
    assert through.statuses == OTHERWISE.get(name, statuses)
    assert through.allowed == server.allowed


@pytest.mark.parametrize("piece", [1, 7, 150])
async def test_an_offer_to_upgrade_that_comes_in_pieces_is_ignored_too(real: Real, piece: int) -> None:
    for told in await _all_told(real, KEPT_OPEN + LAST, piece=piece):
        assert told.statuses == [201, 200]
