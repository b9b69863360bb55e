"""Just enough of HTTP/1.1 to ask one thing at a time: requests to bytes, bytes to answers. No I/O.

`plain` reads the answer that a server of ours gives, in a microsecond; `Reader` reads all the others
(in pieces, chunked, or ended by the connection's end).
"""

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import urlsplit

_HEAD_LIMIT: Final = 64 * 1024
_BODY_LIMIT: Final = 64 * 1024 * 1024


class Malformed(ValueError):
    """This is not an HTTP/1.1 answer, or one too large to take; the message says why."""


class ClientResponse(NamedTuple):
    """What came back. `reusable`: may the connection be used again?"""

    status: int
    body: bytes
    reusable: bool = True
    tag: str | None = None
    """Its `ETag`."""
    quota: tuple[str, str] | None = None
    """Its `RateLimit` and `RateLimit-Policy`."""


class Target(NamedTuple):
    """A server: where it listens and how it wants to be called."""

    host: str
    port: int
    tls: bool = False
    base_path: str = ""

    @classmethod
    def of(cls, url: str) -> "Target":
        """The target of `http://host:port/base` or `https://…`. Raises ValueError."""
        wrong = ValueError(f"{url!r} is not an http:// or https:// address")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise wrong from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise wrong
        tls = parts.scheme == "https"
        return cls(parts.hostname, port or (443 if tls else 80), tls, parts.path.rstrip("/"))

    @property
    def authority(self) -> str:
        """The Host header's value."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
        """A whole request. `path` with its query, percent-encoded; a body is JSON unless `headers` say otherwise."""
        lines = [f"{method} {self.base_path}{path} HTTP/1.1", f"host: {self.authority}", "accept: application/json"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body or method not in ("GET", "DELETE"):
            if not headers or "content-type" not in headers:
                lines.append("content-type: application/json")
            lines.append(f"content-length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def url_of(host: str, port: int) -> str:
    """The URL that what listens there is reached by on this machine."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def plain(data: bytes) -> ClientResponse | None:
    """The answer, if `data` is exactly one whole answer with a lower-case content-length; else None, for `Reader`."""
    end = data.find(b"\r\n\r\n")
    at = data.find(b"\r\ncontent-length: ", 0, end)
    if at < 0 or data[:9] != b"HTTP/1.1 " or data.find(b"\r\nconnection:", 0, end) >= 0:
        return None
    if data.find(b"\r\netag:", 0, end) >= 0 or data.find(b"\r\nETag:", 0, end) >= 0:
        return None
    if data.find(b"\r\nratelimit:", 0, end) >= 0:
        return None
    status, length = data[9:12], data[at + 18 : data.find(b"\r", at + 18)]
    if not (status.isdigit() and length.isdigit()) or end + 4 + int(length) != len(data) or status < b"200":
        return None
    return ClientResponse(int(status), data[end + 4 :])


class Reader:
    """Reads one answer as its bytes come in. One reader an answer."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._status = 0
        """0 until the head was read."""
        self._reusable = True
        self._length: int | None = None
        self._chunked = False
        self._body = bytearray()
        self._chunk_left: int | None = None
        self._in_trailers = False

        self._tag: str | None = None
        self._quota: tuple[str, str] | None = None

    def feed(self, data: bytes) -> ClientResponse | None:
        """Take in some bytes; the answer once it is whole. Raises Malformed."""
        self._buffer += data
        while not self._status:
            if not self._read_head():
                return None
        if self._chunked:
            if not self._read_chunks():
                return None
            return self._whole(bytes(self._body))
        if self._length is None:
            self._guard(len(self._buffer))
            return None
        if len(self._buffer) < self._length:
            return None
        body = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        return self._whole(body)

    def end(self) -> ClientResponse | None:
        """The connection ended: the answer if that is how it ends, None if it broke off."""
        if not self._status or self._chunked or self._length is not None:
            return None
        return ClientResponse(self._status, bytes(self._buffer), reusable=False, tag=self._tag, quota=self._quota)

    def _whole(self, body: bytes) -> ClientResponse:
        if self._buffer:
            raise Malformed("bytes follow the answer, and nothing else was asked")
        return ClientResponse(self._status, body, self._reusable, self._tag, self._quota)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > _HEAD_LIMIT:
                raise Malformed(f"the answer's head is over {_HEAD_LIMIT} bytes")
            return False
        start, *lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        version, _, rest = start.partition(b" ")
        if version not in (b"HTTP/1.1", b"HTTP/1.0") or not rest[:3].isdigit():
            raise Malformed(f"not a status line: {start[:80]!r}")
        status = int(rest[:3])
        if status < 200:
            return True
        headers: dict[bytes, bytes] = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon:
                raise Malformed(f"not a header: {line[:80]!r}")
            headers[name.strip().lower()] = value.strip()
        connection = headers.get(b"connection", b"").lower()
        self._reusable = connection != b"close" if version == b"HTTP/1.1" else connection == b"keep-alive"
        self._chunked = headers.get(b"transfer-encoding", b"").lower().endswith(b"chunked")
        if status in (204, 304):
            self._chunked, self._length = False, 0
        elif not self._chunked and b"content-length" in headers:
            if not headers[b"content-length"].isdigit():
                raise Malformed(f"not a content-length: {headers[b'content-length'][:80]!r}")
            self._length = int(headers[b"content-length"])
            self._guard(self._length)
        tag = headers.get(b"etag")
        self._tag = None if tag is None else tag.decode("latin-1")
        quota, policy = headers.get(b"ratelimit"), headers.get(b"ratelimit-policy")
        self._quota = None if quota is None or policy is None else (quota.decode("latin-1"), policy.decode("latin-1"))
        self._status = status
        return True

    def _read_chunks(self) -> bool:
        while True:
            if self._chunk_left is not None:
                # The chunk's own CRLF is read with it.
                if len(self._buffer) < self._chunk_left + 2:
                    return False
                self._body += self._buffer[: self._chunk_left]
                del self._buffer[: self._chunk_left + 2]
                self._chunk_left = None
                self._guard(len(self._body))
            end = self._buffer.find(b"\r\n")
            if end < 0:
                if len(self._buffer) > _HEAD_LIMIT:
                    raise Malformed(f"a chunk's size or trailer is over {_HEAD_LIMIT} bytes")
                return False
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            if self._in_trailers:
                if not line:
                    return True
                continue
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                raise Malformed(f"not a chunk's size: {line[:80]!r}") from None
            self._guard(size)
            if size:
                self._chunk_left = size
            else:
                self._in_trailers = True

    def _guard(self, size: int) -> None:
        if not 0 <= size <= _BODY_LIMIT:
            raise Malformed(f"the answer's body is over {_BODY_LIMIT} bytes")
