"""Errors over HTTP: RFC 9457 `application/problem+json`, made of refusals. Which status a service's own
refusals have is said in its api.py; what every service may answer is said here.
"""

import inspect
import logging
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec

from cludale.kernel.refusals import (
    UNSHOWN,
    Busy,
    IdempotencyKeyInFlight,
    IdempotencyKeyReused,
    Invalid,
    NotFound,
    Refusal,
    RefusedForNow,
    shown_name,
)
from cludale.ports.records import StoreUnavailable, UnusableCursor
from cludale.web.limits import TooManyRequests
from cludale.web.responses import PROBLEM, Headers, Response

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode

Statuses = Mapping[type[Exception], int]

TYPE_PREFIX = "/problems/"


class Unauthorized(Refusal):
    """A key is missing, wrong, or at its end: send `Authorization: Bearer <key>`."""

    def __init__(self) -> None:
        super().__init__("A key is required that is good: Authorization: Bearer <key>.")


class ScopeMissing(Refusal):
    """The key is good, and may not do this: it lacks the `scope` that is said."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"This key may not do this: it lacks the scope '{scope}'.", scope=scope)


class NoSuchRoute(NotFound):
    """Nothing is served at this path; `/docs` lists what is. What has not the form of a name is not repeated."""

    def __init__(self, path: str) -> None:
        shown = "/".join(part if not part or shown_name(part) == part else UNSHOWN for part in path.split("/"))
        Refusal.__init__(self, f"There is no route {shown!r}.", what="route", id=shown)


class MethodNotAllowed(Refusal):
    """This path does not have this method; the `Allow` header lists those that it has."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allowed = ", ".join(sorted(allowed))
        super().__init__(f"Method not allowed; allowed: {self.allowed}.")


class BodyTooLarge(Refusal):
    """The request body is larger than the server takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than {limit} bytes.", limit=limit)


class HeadTooLarge(Refusal):
    """The request's path and headers are larger than the server takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"Path and headers are larger than {limit} bytes.", limit=limit)


class UnsupportedMediaType(Refusal):
    """The body is something else than JSON."""

    def __init__(self, media_type: str) -> None:
        super().__init__(f"The body must be application/json, not {media_type}.")


class BadRequest(Refusal):
    """The request is not valid HTTP/1.1."""


class HttpVersionNotSupported(Refusal):
    """The server supports HTTP/1.1 only."""

    def __init__(self, version: str) -> None:
        super().__init__(f"HTTP/{version} is not supported; use HTTP/1.1.")


class TransferCodingNotImplemented(Refusal):
    """The body has a transfer coding that is not supported; `chunked` is."""

    def __init__(self, coding: str) -> None:
        super().__init__(f"The transfer coding {coding!r} is not supported; use chunked.")


class MethodNotImplemented(Refusal):
    """No route has this method. Methods are written in capitals."""

    def __init__(self, method: str) -> None:
        super().__init__(f"The method {method} is not supported.")


class RequestTimeout(Refusal):
    """The request took too long to arrive."""

    def __init__(self) -> None:
        super().__init__("The request took too long to arrive.")


class TooManyConnections(Busy):
    """The server has as many connections as it can serve."""

    def __init__(self) -> None:
        super().__init__("Too many connections; try again in a moment.")


class TooManyStreams(Busy):
    """The server sends as many streams as it can."""

    def __init__(self) -> None:
        super().__init__("Too many streams are open; try again in a moment.")


class InternalError(Exception):
    """An error of the server, not of the request; its log has the details under this `id`."""

    @classmethod
    def name(cls) -> str:
        """The stable name."""
        return "internal-error"


BASE_STATUSES: Statuses = {
    BadRequest: 400,
    Unauthorized: 401,
    ScopeMissing: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    RequestTimeout: 408,
    IdempotencyKeyInFlight: 409,
    BodyTooLarge: 413,
    UnsupportedMediaType: 415,
    Invalid: 422,
    TooManyRequests: 429,
    IdempotencyKeyReused: 422,
    UnusableCursor: 422,
    HeadTooLarge: 431,
    InternalError: 500,
    MethodNotImplemented: 501,
    TransferCodingNotImplemented: 501,
    Busy: 503,
    StoreUnavailable: 503,
    HttpVersionNotSupported: 505,
}


class Problem(msgspec.Struct, rename="camel"):
    """An error (RFC 9457). Refusals add their own values beside these, `left` for example."""

    type: Annotated[str, msgspec.Meta(description="a stable name: `/problems/seats-unavailable`")]
    title: str
    status: int
    detail: str
    errors: list["FieldError"] | None = None


class FieldError(msgspec.Struct):
    """What is wrong with which field of the request."""

    field: str
    message: str


class ProblemPage(NamedTuple):
    """What `/problems/{name}` tells."""

    name: str
    title: str
    status: int
    meaning: str


class Problems:
    """Turns exceptions into problem answers, with the statuses of all services that are served."""

    def __init__(self, *statuses: Statuses) -> None:
        self._statuses: dict[type[Exception], int] = dict(BASE_STATUSES)
        for each in statuses:
            self._statuses.update(each)

    def status_of(self, kind: type[Exception]) -> int | None:
        """The status of an exception; a subclass has that of its nearest known base."""
        for base in kind.__mro__:
            if base in self._statuses:
                return self._statuses[base]
        return None

    def answer(self, error: Exception) -> Response:
        """The problem that `error` is to the caller. What no status was given to is a 500, logged with an id."""
        if isinstance(error, Refusal):
            status = self.status_of(type(error))
            if status is not None:
                return _problem(error.name(), status, error.detail, error.values, headers_of(error))
        if isinstance(error, UnusableCursor):
            errors = [{"field": "after", "message": "is not a cursor that this collection gave"}]
            return _problem(_name(UnusableCursor), 422, "after: is not a cursor of this collection", {"errors": errors})
        if isinstance(error, StoreUnavailable):
            _log.warning("the store is away: %s", error)
            return _problem(
                _name(StoreUnavailable), 503, "The store is not available; try again.", {}, (("retry-after", "1"),)
            )
        incident = secrets.token_hex(8)
        _log.error("incident %s", incident, exc_info=error)
        return _problem(
            "internal-error", 500, "Internal error; the server's log has the details under this id.", {"id": incident}
        )

    def page(self, name: str) -> ProblemPage | None:
        """What the problem called `name` means; None if there is no such problem."""
        return self._pages().get(name)

    def page_of(self, kind: type[Exception]) -> ProblemPage:
        """What a refusal of this kind means."""
        return self._page(kind)

    def pages(self) -> list[ProblemPage]:
        """Every problem that may be answered, by name."""
        pages = self._pages()
        return [pages[name] for name in sorted(pages)]

    def _pages(self) -> dict[str, ProblemPage]:
        kinds = set(self._statuses)
        waiting = list(kinds)
        while waiting:
            subclasses = set(waiting.pop().__subclasses__()) - kinds
            kinds |= subclasses
            waiting += subclasses
        return {_name(kind): self._page(kind) for kind in kinds}

    def _page(self, kind: type[Exception]) -> ProblemPage:
        status = self.status_of(kind) or 500
        return ProblemPage(_name(kind), _title(_name(kind)), status, inspect.getdoc(kind) or "")


def headers_of(error: Exception) -> Headers:
    """The headers that go with a refusal."""
    match error:
        case Busy(retry_after_seconds=seconds) | RefusedForNow(retry_after_seconds=int(seconds)):
            return (("retry-after", str(seconds)),)
        case Unauthorized():
            return (("www-authenticate", 'Bearer realm="cludale"'),)
        case ScopeMissing(values={"scope": scope}):
            return (("www-authenticate", f'Bearer realm="cludale", error="insufficient_scope", scope="{scope}"'),)
        case TooManyRequests(headers=headers):
            return headers
        case MethodNotAllowed(allowed=allowed):
            return (("allow", allowed),)
        case _:
            return ()


def _problem(name: str, status: int, detail: str, values: Mapping[str, Any], headers: Headers = ()) -> Response:
    body: dict[str, Any] = {"type": TYPE_PREFIX + name, "title": _title(name), "status": status, "detail": detail}
    return Response(status, _encode({**values, **body}), PROBLEM, headers)


def _name(kind: type[Exception]) -> str:
    if issubclass(kind, Refusal):
        return kind.name()
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


def _title(name: str) -> str:
    return name.replace("-", " ").capitalize()
