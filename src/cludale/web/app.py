"""The app: the services' routes in one router, and what every server has beside them.

The same errors everywhere: whatever goes wrong, in a route or before it, is a problem+json.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

from cludale.kernel.principals import PrincipalKind
from cludale.kernel.refusals import Busy, NotFound
from cludale.kernel.times import rfc3339
from cludale.runtime.readiness import Trouble
from cludale.web import openapi, pages
from cludale.web.bodies import Body, check_media_type, check_no_body
from cludale.web.limits import SLOW_SECONDS, Inside, Limits, TooManyRequests
from cludale.web.metrics import Gauges, Metrics, RequestCounts
from cludale.web.problems import NoSuchRoute, Problems, Statuses
from cludale.web.queries import QueryReader
from cludale.web.refusal_log import REFUSED, RefusalLog
from cludale.web.responses import JSON, PROBLEM, Headers, Response, Stream, json_response, kept, unless_known
from cludale.web.router import Endpoint, Router
from cludale.web.routing import Credential, Handler, NoParameters, Request, Route

DESCRIPTION = """\
Concert tickets: never oversold, nothing acknowledged is lost, fast at the on-sale.

Anyone may place an order; the answer has an `accessToken`, the bearer for that order's routes.
The organizer's routes need the organizer's key. Money is in minor units, times are RFC 3339: in UTC, but
for a concert's `date` and `endsAt`, which keep their offset.
Errors are `application/problem+json` with a stable `type`; `/problems` lists them all.
`GET /livez` says that the server runs; `GET /readyz` is 503 `not-ready`, with the reason, while store, broker or
sidecar do not work, and 200 again by itself.
"""

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
ASSET_SECONDS = 86_400
LIVE = json_response({"status": "ok"})
READY = json_response({"status": "ready"})

OwnHandler = Callable[[Request], Awaitable[Response]]
Admit = Callable[[Mapping[bytes, bytes]], None]
"""Looks at the headers of a request, names in lower case. Raises a Refusal for one that may not come in."""


class NotReady(Busy):
    """The server is starting or stopping, or something that it needs does not work; `troubles` says what."""

    def __init__(self, *troubles: Trouble) -> None:
        super().__init__(" ".join(each.detail for each in troubles) or "Starting or stopping.")
        if troubles:
            shown = [{"part": each.part, "detail": each.detail, "since": rfc3339(each.since)} for each in troubles]
            self.values = {"troubles": shown}


class Traced(Protocol):
    """Puts a span around the requests."""

    def handler(self, method: str, path: str, handler: Handler) -> Handler:
        """The handler of one route, traced."""
        ...


class Served(Protocol):
    """A service, as far as it is served."""

    @property
    def name(self) -> str:
        """The first segment of its paths."""
        ...

    @property
    def about(self) -> str:
        """One line, for the OpenAPI document."""
        ...

    @property
    def statuses(self) -> Statuses:
        """Refusal → HTTP status."""
        ...

    @property
    def routes(self) -> Sequence[Route]:
        """Its routes."""
        ...


class WebApp:
    """Everything that is served."""

    def __init__(
        self,
        services: Sequence[Served],
        *,
        is_ready: Callable[[], bool],
        troubles: Callable[[], Sequence[Trouble]] = tuple,
        gauges: Gauges,
        version: str,
        traced: Traced | None = None,
        internal: Iterable[Route] = (),
        admit: Admit | None = None,
        limits: Limits | None = None,
        requests: RequestCounts | None = None,
        inside: Inside | None = None,
    ) -> None:
        """`is_ready` says whether the process is up, `troubles` what it needs and does not work. `requests` counts.

        `internal` are routes for parts of the platform; `admit` looks at every request. `limits` are for
        the services' routes, and not for services. What is for operators is shown to requests from `inside` alone;
        None: to all.
        """
        self.problems = Problems(*(service.statuses for service in services))
        self.requests = RequestCounts() if requests is None else requests
        self._refusals = RefusalLog(time.monotonic)
        self._is_ready = is_ready
        self._troubles = troubles
        self._version = version
        self._services = {service.name: service.about for service in services}
        self.metrics = Metrics(self.requests, gauges, version=version)
        self._admit = admit
        self._limits = limits
        self._inside = inside
        self._traced = traced
        self._routes = [route for service in services for route in service.routes]
        routes = [*self._routes, *internal, *self._own_routes()]
        self.router = Router(map(self._endpoint, [*routes, *_heads(routes), *_options(routes)]), self._refuse)

    def openapi_document(self) -> bytes:
        """The OpenAPI 3.1 document, as JSON."""
        return self._document

    @cached_property
    def _document(self) -> bytes:
        return openapi.document(
            self._routes,
            version=self._version,
            description=DESCRIPTION,
            tags=self._services,
            page_of=self.problems.page_of,
        )

    # What is served beside the services

    def _own_routes(self) -> list[Route]:
        handlers: Mapping[str, OwnHandler] = {
            "/livez": self._live,
            "/readyz": self._ready,
            "/readyz/replica": self._replica_ready,
            "/metrics": self._from_inside("/metrics", self._metrics),
            "/openapi.json": self._from_inside("/openapi.json", self._openapi),
            "/": self._front,
            "/docs": self._from_inside("/docs", self._docs),
            "/docs/{name}": self._docs_asset,
            "/problems": self._problem_list,
            "/problems/{name}": self._problem,
        }
        return [Route(method="GET", path=path, handle=handler) for path, handler in handlers.items()]

    def _from_inside(self, path: str, handle: OwnHandler) -> OwnHandler:
        """It, for those who may see it; to all others it is as if there were none."""
        inside = self._inside
        if inside is None:
            return handle

        async def shown(request: Request) -> Response:
            if not inside.has(request.peer, request.headers):
                raise NoSuchRoute(path)
            return await handle(request)

        return shown

    async def _live(self, _: Request) -> Response:
        return LIVE

    async def _ready(self, _: Request) -> Response:
        return self._readiness(self._troubles())

    async def _replica_ready(self, _: Request) -> Response:
        # What all replicas share is left out: taken away from all of them at once, buyers would have nobody left
        # who tells them what can't be done, and what can.
        return self._readiness([trouble for trouble in self._troubles() if not trouble.is_shared])

    def _readiness(self, troubles: Sequence[Trouble]) -> Response:
        if troubles or not self._is_ready():
            raise NotReady(*(troubles if self._is_ready() else ()))
        return READY

    async def _metrics(self, _: Request) -> Response:
        return Response(200, self.metrics.text(), METRICS_TYPE)

    async def _openapi(self, _: Request) -> Response:
        return kept(self.openapi_document(), JSON)

    async def _front(self, _: Request) -> Response:
        return pages.page(pages.front_page(self._version, list(self._services)))

    async def _docs(self, _: Request) -> Response:
        return pages.page(pages.docs_page())

    async def _docs_asset(self, request: Request) -> Response:
        name = request.segment
        if name == "start.js":
            return kept(pages.DOCS_SCRIPT, pages.JAVASCRIPT)
        if name == "page.css":
            return kept(pages.PAGE_STYLE, pages.CSS)
        if name not in pages.ASSETS:
            raise NoSuchRoute(f"/docs/{name}")
        content = await asyncio.to_thread(pages.asset, name)
        return kept(content, pages.ASSETS[name], max_age_seconds=ASSET_SECONDS)

    async def _problem_list(self, _: Request) -> Response:
        return pages.page(pages.problem_list(self.problems.pages()))

    async def _problem(self, request: Request) -> Response:
        page = self.problems.page(request.segment)
        if page is None:
            raise NotFound("problem", request.segment)
        return pages.page(pages.problem_page(page))

    # How a route is called

    def _endpoint(self, route: Route) -> Endpoint:
        """The route, its request read, its answers counted, its exceptions answered."""
        handler = self._handler(route if self._limits is None else _limited(route, self._limits))
        if self._traced is not None:
            handler = self._traced.handler(route.method, route.path, handler)
        return Endpoint(route.method, route.path, handler, route.max_body_bytes)

    def _handler(self, route: Route) -> Handler:
        method, path, handle, turned_away = route.method, route.path, route.handle, route.turned_away
        count, refused, problems, clock, admit, read = (
            self.requests.add,
            self.requests.refused,
            self.problems,
            time.perf_counter,
            self._admit,
            _read(route),
        )
        is_read_only = method in ("GET", "HEAD")
        ready = route.ready if admit is None else None

        def at_once(request: Request) -> Response | Awaitable[Response | Stream]:
            if ready is not None and (response := ready(request)) is not None:
                if b"if-none-match" in request.headers:
                    response = unless_known(response, request.header(b"if-none-match") or "")
                count(method, path, response.status, 0.0)
                return response
            response = None if turned_away is None else turned_away()
            if response is None:
                return later(request)
            count(method, path, response.status, 0.0)
            refused(path, response.body, at_once=True)
            return response

        async def later(request: Request) -> Response | Stream:
            began = clock()
            response: Response | Stream
            try:
                if admit is not None:
                    admit(request.headers)
                response = await handle(*read(request))
                if is_read_only and isinstance(response, Response) and b"if-none-match" in request.headers:
                    response = unless_known(response, request.header(b"if-none-match") or "")
            except Exception as error:  # noqa: BLE001 - each becomes a problem; those nobody foresaw are logged there
                response = problems.answer(error)
                if response.status in REFUSED:
                    name = type(error).__name__
                    self._refusals.note(method, path, response.status, name, request.authorization)
            count(method, path, response.status, clock() - began)
            if response.status >= 400 and isinstance(response, Response) and response.media_type == PROBLEM:
                refused(path, response.body)
            return response

        return at_once

    def _refuse(self, method: str, path: str, error: Exception) -> Response:
        response = self.problems.answer(error)
        self.requests.add(method, path, response.status, 0.0)
        return response


def _read(route: Route) -> Callable[[Request], Sequence[Any]]:
    """What a route's handler is given: the request, with who asks, and what it says. Checks the credential first.

    Raises Unauthorized, ScopeMissing, KeysUnknown, Invalid, UnsupportedMediaType.
    """
    access = route.access if route.credential in (Credential.ORGANIZER, Credential.SERVICE) else None
    sessions = route.access if route.credential is Credential.SESSION else None
    scope, callers = route.scope, route.callers
    query = None if route.query is None else QueryReader(route.query)
    is_given_query = route.query not in (None, NoParameters)
    body = None if route.body is None else Body(route.body)

    def read(request: Request) -> Sequence[Any]:
        if sessions is not None:
            request = request.asked_by(sessions.session(request.authorization))
        if access is not None:
            request = request.asked_by(access.check(request.authorization, scope, callers=callers))
        if request.body and body is None and not route.reads_body:
            check_no_body(request.body)
        parameters = query.read(request.query) if query is not None and (request.query or is_given_query) else None
        if body is not None:
            check_media_type(request.headers.get(b"content-type"))
            return (request, body.decode(request.body))
        return (request, parameters) if is_given_query else (request,)

    return read


def _limited(route: Route, limits: Limits) -> Route:
    """The route, which looks first whether its caller has requests left, and says how many with its answer."""
    if route.access is None or route.credential is Credential.SERVICE:
        return route
    addresses, per_address, per_key = limits
    handle, access, callers = route.handle, route.access, route.callers

    async def checked(request: Request) -> Headers:
        principal = request.principal
        if principal is not None and principal.kind is not PrincipalKind.SERVICE and per_key is not None:
            return await per_key.admit(principal.id)
        if per_address is None or (callers and access.is_service(request.authorization)):
            return ()
        return await per_address.admit(addresses.of(request.peer, request.headers))

    async def limited(request: Request, *read: Any) -> Response | Stream:
        try:
            told = await checked(request)
        except TooManyRequests as refused:
            if refused.goes_on:
                await asyncio.sleep(SLOW_SECONDS)
            raise
        response = await handle(request, *read)
        return response._replace(headers=(*response.headers, *told)) if told else response

    return replace(route, handle=limited)


def _heads(routes: Iterable[Route]) -> list[Route]:
    """What may be read may be asked for its head: the same response, of which the server leaves the body out."""
    return [replace(route, method="HEAD") for route in routes if route.method == "GET"]


def _options(routes: Iterable[Route]) -> list[Route]:
    """OPTIONS of each path."""
    paths: dict[str, list[Route]] = {}
    for route in routes:
        paths.setdefault(route.path, []).append(route)
    return [_option(path, among) for path, among in paths.items()]


def _option(path: str, among: Sequence[Route]) -> Route:
    methods = {"OPTIONS", *(route.method for route in among)}
    allowed = ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))

    async def options(_: Request) -> Response:
        return Response(204, b"", headers=(("allow", allowed),))

    is_strict = any(route.query is not None for route in among)
    return Route(method="OPTIONS", path=path, handle=options, query=NoParameters if is_strict else None)
