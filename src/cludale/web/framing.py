"""What the head of a request may say: one rule set (RFC 9110, RFC 9112). No I/O.

The parser finds where a message ends; whatever it lets pass and a server must not is refused here.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from http import HTTPMethod
from typing import Final

import httptools

from cludale.web.problems import (
    BadRequest,
    HttpVersionNotSupported,
    MethodNotImplemented,
    TransferCodingNotImplemented,
)
from cludale.web.responses import Response

Header = tuple[bytes, bytes]

WHOLE_SERVER: Final = b"*"
"""The target of `OPTIONS *`."""
OPTIONS_OF_THE_SERVER: Final = Response(204, b"", headers=(("allow", "GET, HEAD, OPTIONS, POST"),))

BLANKS: Final = b" \t"
"""What may stand around a header's value and is no part of it."""

_ONCE: Final = {
    b"host": "Host",
    b"authorization": "Authorization",
    b"content-type": "Content-Type",
    b"dapr-api-token": "dapr-api-token",
    b"idempotency-key": "Idempotency-Key",
    b"if-match": "If-Match",
    b"x-cludale-label": "X-Cludale-Label",
}
"""Headers that are read here and have one value: which of two would be meant?"""

_REGISTERED_NAME = rb"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}){1,255}"
_HOST = re.compile(rb"(?:" + _REGISTERED_NAME + rb"|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{0,5})?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)([^#]*)", re.IGNORECASE)
_METHOD = re.compile(rb"(?:\r\n)*([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}) ")
_METHODS: Final = frozenset(each.value for each in HTTPMethod)


Goes = tuple[bytes, bytes]
"""Where a request goes: path and query, or `*`; and host and port that are asked, empty only in HTTP/1.0. A plain
tuple, because there is one for each request there is."""


def checked(method: bytes, version: str, target: bytes, headers: Sequence[Header], found: dict[bytes, bytes]) -> Goes:
    """Where the request goes. Header names in lower case, values without the blanks around them; `found` are the same
    by name, where the codings of several lines become one value.

    Raises BadRequest, HttpVersionNotSupported, TransferCodingNotImplemented, MethodNotImplemented.
    """
    if version not in ("1.1", "1.0"):
        raise HttpVersionNotSupported(version)
    if len(found) < len(headers):
        _check_once(headers, found)
    codings = found.get(b"transfer-encoding")
    if codings is not None:
        _check_codings(version, codings)
    host = found.get(b"host")
    if host is None:
        if version == "1.1":
            raise BadRequest("The Host header is missing.")
        host = b""
    elif not _is_host(host):
        raise BadRequest("The Host header is not a host's name or address, with or without a port.")
    if target[:1] != b"/" or target.find(b"#") >= 0:
        return _of_another_form(method, target, host)
    return target, host


@lru_cache(maxsize=64)
def _is_host(value: bytes) -> bool:
    """Almost every request names the same one."""
    return _HOST.fullmatch(value) is not None


def _check_once(headers: Sequence[Header], found: dict[bytes, bytes]) -> None:
    """Some header came more than once: is it one that may?"""
    seen = set()
    for name, _ in headers:
        if name in seen and name in _ONCE:
            raise BadRequest(f"There are two {_ONCE[name]} headers.")
        seen.add(name)
    if b"transfer-encoding" in found:
        found[b"transfer-encoding"] = b", ".join(value for name, value in headers if name == b"transfer-encoding")


def _check_codings(version: str, value: bytes) -> None:
    if version == "1.0":
        raise BadRequest("HTTP/1.0 has no Transfer-Encoding.")
    codings = [each.partition(b";")[0].strip(BLANKS).lower() for each in value.split(b",")]
    for coding in codings:
        if coding not in (b"chunked", b""):
            raise TransferCodingNotImplemented(coding[:100].decode("latin-1"))
    if value.lower() != b"chunked":
        raise BadRequest("Transfer-Encoding has to be chunked, once.")


def _of_another_form(method: bytes, target: bytes, host: bytes) -> Goes:
    """The target of `OPTIONS *`, or of a request as a proxy gets it, whose host counts and not the Host header's."""
    if method == b"CONNECT":
        raise MethodNotImplemented("CONNECT")
    if target == WHOLE_SERVER and method == b"OPTIONS":
        return target, host
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise BadRequest("The target has to be a path, as in GET /concerts, without a fragment.")
    host, path = absolute[1], absolute[2]
    if not _is_host(host):
        raise BadRequest("The target's host is not a host's name or address, with or without a port.")
    if path[:1] != b"/":
        path = WHOLE_SERVER if method == b"OPTIONS" and not path else b"/" + path
    return path, host


def without_upgrade(method: bytes, version: str, target: bytes, headers: Iterable[Header]) -> bytes:
    """The same head, without the offer to change to another protocol, for the parser that stopped at that offer.

    Nobody here takes such an offer, so the request is one like any other (RFC 9110, section 7.8).
    """
    kept = [b"%s: %s\r\n" % header for header in headers if header[0] != b"upgrade"]
    return b"%s %s HTTP/%s\r\n%s\r\n" % (method, target, version.encode(), b"".join(kept))


def fault_of(error: httptools.HttpParserError, parser: httptools.HttpRequestParser, data: bytes) -> Exception:
    """What is wrong with a request that the parser does not understand, which came in `data`; or a fault of ours."""
    if isinstance(error, httptools.HttpParserCallbackError):
        ours = error.__context__
        if isinstance(ours, Exception) and not isinstance(ours, httptools.HttpParserError):
            return ours
    elif isinstance(error, httptools.HttpParserInvalidMethodError):
        named = _METHOD.match(data)
        if named is not None and (method := named[1].decode()) not in _METHODS:
            return MethodNotImplemented(method)
    elif parser.get_method() == b"PRI":
        return HttpVersionNotSupported("2.0")  # the preface of HTTP/2
    return BadRequest(f"This is no HTTP request: {error}.")
