"""HTTP/1.1 messages between client and backend, each way: what is left out, what is added, where they end. No I/O.

A request is written anew from its parsed parts, with one length that we have counted ourselves, so client and backend
can't understand it differently. An answer that is plainly whole passes as it came; others are parsed.
"""

import re
from collections.abc import Iterable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, NamedTuple

import httptools

from cludale.http.answers import Answer

Header = tuple[bytes, bytes]

ANSWER_LIMIT_BYTES: Final = 16 * 1024 * 1024

LABEL: Final = b"x-cludale-label"
REVISION: Final = b"x-cludale-revision"

_HOP_BY_HOP: Final = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"http2-settings",
    }
)  # fmt: skip
_OURS: Final = frozenset(
    {
        b"content-length", b"expect", b"host", b"forwarded", b"x-forwarded-for", b"x-forwarded-host",
        b"x-forwarded-proto", b"x-forwarded-port", b"x-real-ip", LABEL,
    }
)  # fmt: skip
"""What is said anew to the backend; what a client says of it counts for nothing, for nobody stands before us."""
_NOT_PASSED: Final = _HOP_BY_HOP | _OURS

_PLAIN_HEAD = re.compile(rb"HTTP/1\.1 ([2-5]\d\d) [^\r\n\0]*\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r\n)+\r\n")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d{1,12})\r\n")
_SPECIAL = re.compile(rb"\r\n(?:connection|keep-alive|transfer-encoding|te|trailer|upgrade|proxy-[a-z]+) *:")


class Malformed(ValueError):
    """This is no HTTP/1.1 answer, or one too large; the message says why."""


class Request(NamedTuple):
    """A client's request, whole. Header names in lower case."""

    method: bytes
    target: bytes
    headers: Sequence[Header]
    body: bytes
    host: bytes
    peer: bytes
    """The client's address."""

    def header(self, name: bytes) -> bytes | None:
        """The first header of that name."""
        for each, value in self.headers:
            if each == name:
                return value
        return None

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0]

    @property
    def waits(self) -> bool:
        """Does it ask to be kept waiting, `?wait=2`?"""
        query = self.target.partition(b"?")[2]
        return query.startswith(b"wait=") or b"&wait=" in query

    def to_backend(self) -> bytes:
        """The bytes for a backend."""
        passed = [b"%s: %s\r\n" % header for header in self.headers if header[0] not in _NOT_PASSED]
        named = self.header(b"connection")
        if named is not None and named.lower() not in (b"keep-alive", b"close"):
            passed = [b"%s: %s\r\n" % header for header in _without(self.headers, named)]
        length = b"content-length: %d\r\n" % len(self.body) if self.body or self.method in _WITH_BODY else b""
        return b"%s %s HTTP/1.1\r\nhost: %s\r\n%s%svia: 1.1 cludale\r\nx-forwarded-for: %s\r\nx-forwarded-host: %s\r\nx-forwarded-proto: http\r\n\r\n%s" % (  # noqa: E501
            self.method, self.target, self.host, b"".join(passed), length, self.peer, self.host, self.body,
        )  # fmt: skip


_WITH_BODY: Final = frozenset({b"POST", b"PUT", b"PATCH"})


def _without(headers: Iterable[Header], connection: bytes) -> list[Header]:
    """The headers that are for the backend, without those that `Connection` names."""
    named = {each.strip().lower() for each in connection.split(b",")}
    return [header for header in headers if header[0] not in _NOT_PASSED and header[0] not in named]


class Passed(NamedTuple):
    """A backend's answer, as it is sent on: head without its end, so that headers can be added, and body."""

    status: int
    head: bytes
    """Status line and headers, each with its CRLF."""
    body: bytes

    def to_client(self, revision: bytes, *, close: bool) -> bytes:
        """The bytes for the client."""
        end = b"\r\nconnection: close\r\n\r\n" if close else b"\r\n\r\n"
        return b"%sx-cludale-revision: %s%s%s" % (self.head, revision, end, self.body)


def plain(data: bytes) -> Passed | None:
    """The answer, if `data` is exactly one whole answer in the form that our servers give it, else None."""
    end = data.find(b"\r\n\r\n") + 4
    if end < 4:
        return None
    head = data[:end]
    match = _PLAIN_HEAD.fullmatch(head)
    if match is None:
        return None
    lower = head.lower()
    lengths = _LENGTH.findall(lower)
    if len(lengths) != 1 or int(lengths[0]) != len(data) - end or lower.count(b"content-length") != 1:
        return None
    if _SPECIAL.search(lower):
        return None
    return Passed(int(match[1]), head[:-2], data[end:])


class AnswerReader:
    """Reads one answer as its bytes come. One reader an answer."""

    def __init__(self, *, to_head: bool) -> None:
        """`to_head`: was it asked with HEAD? Then its length is that of a body which does not come."""
        self._to_head = to_head
        self._headers: list[Header] = []
        self._parts: list[bytes] = []
        self._size = 0
        self._in_body = False
        self._has_end = False
        self._is_whole = False
        self._is_chunked = False
        self._length: bytes | None = None
        self._status = 0
        self._is_reusable = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> tuple[Passed, bool] | None:
        """Take in bytes; the answer once it is whole, and whether the connection can be used again.

        Raises Malformed.
        """
        if self._is_whole:
            raise Malformed("bytes follow the answer, and nothing else was asked")
        self._size += len(data)
        if self._size > ANSWER_LIMIT_BYTES:
            raise Malformed(f"the answer is over {ANSWER_LIMIT_BYTES} bytes")
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise Malformed(str(error)) from error
        return self._end_of_feed()

    def _end_of_feed(self) -> tuple[Passed, bool] | None:
        return self._passed() if self._is_whole else None

    def end(self) -> Passed | None:
        """The connection ended: the answer, if this is how it ends; None if it broke off."""
        if self._in_body and not self._has_end and not self._is_whole:
            self._is_reusable = False
            return self._passed()[0]
        return None

    def _passed(self) -> tuple[Passed, bool]:
        body = b"".join(self._parts)
        try:
            phrase = HTTPStatus(self._status).phrase
        except ValueError:
            phrase = ""
        named = {b"content-length"}
        for name, value in self._headers:
            if name == b"connection":
                named |= {each.strip().lower() for each in value.split(b",")}
        lines = [b"%s: %s\r\n" % each for each in self._headers if each[0] not in _HOP_BY_HOP and each[0] not in named]
        length: bytes | None = b"%d" % len(body)
        if self._to_head:
            length = self._length
        elif self._status in (204, 304):
            length = None
        if length is not None:
            lines.append(b"content-length: %s\r\n" % length)
        head = b"HTTP/1.1 %d %s\r\n%s" % (self._status, phrase.encode(), b"".join(lines))
        return Passed(self._status, head, body), self._is_reusable

    # Parser callbacks

    def on_message_begin(self) -> None:
        """An answer begins, or an interim one."""
        if self._is_whole:
            self._is_reusable = False  # something follows that nobody asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which nobody here has a use for."""
        if self._in_body:
            return
        name = name.lower()
        if name == b"content-length":
            self._length, self._has_end = value, True
        elif name == b"transfer-encoding":
            self._has_end = self._is_chunked = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is here."""
        if self._is_whole:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._headers.clear()
            return
        self._status = status
        self._in_body = True
        self._is_reusable = self._parser.should_keep_alive()
        if self._to_head:
            self._is_whole, self._is_reusable = True, False

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if not self._to_head and not self._is_whole:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """An answer is here, whole."""
        if self._in_body:
            self._is_whole = True


def own(answer: Answer, *, close: bool, to_head: bool) -> bytes:
    """An answer of the gateway itself as bytes for the client."""
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"]
    if answer.status != HTTPStatus.NO_CONTENT:
        lines += [f"content-type: {answer.media_type}", f"content-length: {len(answer.body)}"]
    lines.append(f"date: {formatdate(usegmt=True)}")
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if close:
        lines.append("connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if to_head else answer.body)
