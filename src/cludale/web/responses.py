"""What goes back over HTTP: whole responses, pages that may be kept, and streams of server-sent events. No I/O."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import msgspec

from cludale.web.feeds import Feed

JSON = "application/json"
PROBLEM = "application/problem+json"
HTML = "text/html; charset=utf-8"
EVENT_STREAM = "text/event-stream"

_encode = msgspec.json.Encoder().encode

Headers = tuple[tuple[str, str], ...]
NO_STORE: Headers = (("cache-control", "no-store"),)


class Response(NamedTuple):
    """A whole response, sent byte for byte as it stands."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: Headers = ()
    same_until: float = 0.0
    """Second of the monotonic clock until which all whose requests are the same, byte for byte, get the same …"""
    source: "Source | None" = None
    """… as long as there is nothing newer than what it was made of."""


class Source:
    """What answers were made of. Once something newer is known, it is over, and so are they."""

    __slots__ = ("is_over",)

    def __init__(self) -> None:
        self.is_over = False


class Stream(NamedTuple):
    """A response that is sent as it comes, chunk by chunk, until `chunks` ends, the client goes or the server stops.

    The next chunk is asked for once the client has taken those before it. `chunks` is closed in each case: what it
    holds is freed in its `finally`. A Feed is followed instead, beside all others who follow it.
    """

    chunks: AsyncIterator[bytes] | Feed
    media_type: str = EVENT_STREAM
    headers: Headers = (("cache-control", "no-store"),)
    status: int = 200


def json_response(value: Any, status: int = 200) -> Response:
    """`value` (msgspec Structs and plain values) as JSON."""
    return Response(status, _encode(value))


def event(data: Any) -> bytes:
    """One server-sent event, its data as JSON."""
    return b"data: " + _encode(data) + b"\n\n"


def kept(body: bytes, media_type: str = HTML, *, max_age_seconds: int = 0, headers: Headers = ()) -> Response:
    """A page or a file that a browser may keep for so long without asking, and for longer if it asks (`ETag`)."""
    tag = hashlib.sha256(body).hexdigest()[:32]
    caching = f"max-age={max_age_seconds}" if max_age_seconds else "no-cache"
    return Response(200, body, media_type, (("etag", f'"{tag}"'), ("cache-control", caching), *headers))


def unless_known(response: Response, if_none_match: str) -> Response:
    """304 without the body, if it is one of those that the client says it has (RFC 9110, section 13.1.2).

    Never of what is not to be kept: its tag is for changes, and the body may be another under the same one.
    """
    headers = dict(response.headers)
    tag = headers.get("etag")
    if response.status != 200 or tag is None or headers.get("cache-control") == "no-store":
        return response
    known = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return response._replace(status=304, body=b"") if tag in known or known == ["*"] else response
