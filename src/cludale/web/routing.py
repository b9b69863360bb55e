"""Routes as data: what each takes, answers and refuses, and who may ask. The server reads requests by it, and the
OpenAPI document is made of it. No I/O.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NamedTuple, TypeVar, get_type_hints

import msgspec

from cludale.kernel.events import Cause
from cludale.kernel.principals import Principal, Scope
from cludale.web.access import Access
from cludale.web.keyed import MAX_KEY
from cludale.web.problems import ScopeMissing
from cludale.web.responses import Response, Stream

_MAX_TRACEPARENT = 512


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request, whole. `segment` is what the path has in place of `{…}`; header names in lower case."""

    segment: str
    headers: Mapping[bytes, bytes]
    body: bytes = b""
    query: str = ""
    """The query as it was sent, without its `?`."""
    peer: str = ""
    """The address at the other end of the connection."""
    principal: Principal | None = None
    """Who asks, where the route wants a key or a service's credential."""

    def header(self, name: bytes) -> str | None:
        """The header's value, as far as it is text."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    def asked_by(self, principal: Principal) -> "Request":
        """The same, of whom it is known who asks."""
        return Request(self.segment, self.headers, self.body, self.query, self.peer, principal)

    @property
    def authorization(self) -> str | None:
        """The credential."""
        return self.header(b"authorization")

    @property
    def idempotency_key(self) -> str | None:
        """The key under which the response is kept."""
        return self.header(b"idempotency-key")

    @property
    def cause(self) -> Cause:
        """What the request causes goes on in its trace, unless nobody could use it: that is no reason to refuse."""
        traceparent = self.header(b"traceparent")
        if traceparent is not None and (len(traceparent) > _MAX_TRACEPARENT or not traceparent.isascii()):
            traceparent = None
        return Cause(None, traceparent)


Handler = Callable[[Request], Response | Awaitable[Response | Stream]]
"""One that has its response at once may give it at once, without raising: a buyer turned away costs a third of that."""


class Credential(Enum):
    """Which credential a route wants. A handler checks an order's token itself, because each order has its own."""

    NONE = "none"
    BUYER = "buyer"
    """The order's token, or a key."""
    ORGANIZER = "organizer"
    """A key."""
    SESSION = "session"
    """Somebody's own session, whatever they may do; no key opens it."""
    SERVICE = "service"
    """Another service's own; no key opens it."""


class Owned(Enum):
    """What becomes of a request with a key about something that isn't its organizer's, or not of its one concert."""

    NOBODYS = "nobody's"
    """What the route is about belongs to the platform, or to anyone."""
    HIDDEN = "hidden"
    """404, as if it weren't there."""
    FILTERED = "filtered"
    """A list shows what is the key's own."""
    MADE = "made"
    """What is made is the organizer's; a key for one concert makes that one alone."""


class Reply(NamedTuple):
    """What a route answers when all goes well."""

    type: Any
    description: str = ""
    media_type: str = "application/json"
    """Where it is no JSON, the OpenAPI document says no more about the content than this."""
    files: tuple[str, ...] = ()
    """What else it may be, if asked for."""


class Header(NamedTuple):
    """A header that a route reads, for the OpenAPI document."""

    name: str
    description: str
    schema: Mapping[str, Any]


IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    "The same key and body get the same answer, byte for byte, and nothing happens twice. A refusal that time or stock "
    "undoes (`not-on-sale`, `sale-paused`, `seats-unavailable`, `seats-not-free`, `price-too-high`) is not kept: "
    "asked again with its "
    "key, the same request may be met.",
    {"minLength": 1, "maxLength": MAX_KEY, "pattern": "^[ -~]+$"},
)
TRACEPARENT = Header("traceparent", "W3C trace context; goes along with every event it causes", {})


class NoParameters(msgspec.Struct, frozen=True):
    """A query that may say nothing."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route."""

    method: str
    path: str
    """May have one `{…}` segment."""
    handle: Callable[..., Awaitable[Response | Stream]]
    """Is given the request and, where there is one, its `body` or its `query`, read."""
    credential: Credential = Credential.NONE
    scope: Scope | None = None
    """Which a key has to have for it."""
    owned: Owned = Owned.NOBODYS
    callers: tuple[str, ...] = ()
    """The other services that may call it (too), each with its own credential."""
    access: Access | None = None
    """Checks it."""
    turned_away: Callable[[], Response | None] | None = None
    """Is asked before anything else is looked at."""
    ready: Callable[[Request], Response | None] | None = None
    """The answer, where it is there already: nothing is awaited then. Only for what anybody may see."""
    body: Any = None
    """The type of the JSON body. Without one, the body has to be empty."""
    reads_body: bool = False
    """The handler reads the body itself, whatever it is."""
    max_body_bytes: int | None = None
    """If it is not the server's own limit."""
    query: type[msgspec.Struct] | None = None
    """The parameters, all of them; None: whatever the query says is not looked at."""
    headers: Sequence[Header] = ()
    replies: Mapping[int, Reply] = field(default_factory=dict)
    refusals: Sequence[type[Exception]] = ()
    """Beside those that follow from what it takes."""
    name: str = ""
    summary: str = ""
    """Routes without one are between parts of the platform, and in no documentation."""
    description: str = ""
    tag: str = ""


def asking(request: Request) -> Principal:
    """Who asks, on a route that wants a key or a service's credential."""
    if request.principal is None:
        raise TypeError("nobody was asked for on this route")
    return request.principal


def asking_for_all(request: Request, scope: Scope) -> Principal:
    """Who asks, on such a route, for all of an organizer's concerts. Raises ScopeMissing for a key to a single one."""
    principal = asking(request)
    if principal.concert_id is not None:
        raise ScopeMissing(scope)
    return principal


F = TypeVar("F", bound=Callable[..., Any])


def route(
    method: str,
    path: str,
    *,
    credential: Credential | None = None,
    scope: Scope | None = None,
    owned: Owned = Owned.NOBODYS,
    callers: tuple[str, ...] = (),
    turned_away: Callable[[Any], Response | None] | None = None,
    **shown: Any,
) -> Callable[[F], F]:
    """Marks a method as the handler of a route. What it takes, its parameters `body` and `query` say.

    A `scope` says that a key opens it; without `credential`, nothing else does. Raises TypeError where a route that is
    opened by a key doesn't say by which scope, or another one does, and where one for services doesn't say for which.
    """
    if credential is None:
        credential = Credential.NONE if scope is None else Credential.ORGANIZER
    if credential is Credential.SERVICE and not callers:
        raise TypeError(f"{method} {path}: routes for services say which may call them")
    if (scope is not None) is not (credential in (Credential.BUYER, Credential.ORGANIZER)):
        raise TypeError(f"{method} {path}: routes that keys open have a scope, the others none")

    def mark(handler: F) -> F:
        types = get_type_hints(handler, include_extras=True)
        vars(handler)["route"] = Route(
            method=method,
            path=path,
            handle=handler,
            credential=credential,
            scope=scope,
            owned=owned,
            callers=callers,
            turned_away=turned_away,  # type: ignore[arg-type] # bound by `routes_of`, as the handler is
            body=types.get("body"),
            query=types.get("query", NoParameters),
            name=handler.__name__,
            **shown,
        )
        return handler

    return mark


def marked_routes(api: object) -> list[Route]:
    """The routes that the methods of `api` are marked with, in their order; their handlers are functions yet."""
    marked = (vars(each).get("route") for each in vars(type(api)).values() if inspect.isfunction(each))
    return [each for each in marked if each is not None]


def routes_of(api: object, *, tag: str, access: Access) -> list[Route]:
    """The routes of `api`, ready to be called."""
    return [
        replace(
            each,
            handle=each.handle.__get__(api),
            turned_away=each.turned_away and each.turned_away.__get__(api),
            access=access,
            tag=tag,
        )
        for each in marked_routes(api)
    ]
