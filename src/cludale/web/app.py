"""The app: the services' routes in one Litestar application, and what every server has beside them.

The same errors everywhere: whatever goes wrong, in a route, in the framework or before it, is a problem+json.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from litestar import HttpMethod, Litestar, MediaType, Request, Response, Router, get
from litestar.connection import ASGIConnection
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, License, SecurityScheme, Server, Tag
from litestar.types import ASGIApp, Guard

from cludale.http.answers import JSON, Answer, json_answer
from cludale.http.bodies import check_no_body
from cludale.http.framing import OPTIONS_OF_THE_SERVER, WHOLE_SERVER
from cludale.http.problems import (
    BadRequest,
    BodyTooLarge,
    MethodNotAllowed,
    NoSuchRoute,
    Problems,
    UnsupportedMediaType,
)
from cludale.http.routing import (
    READS_BODY,
    Express,
    ExpressHandler,
    ExpressRequest,
    check_empty_body,
    check_parameters,
    invalid_parameters,
    respond,
    shown_schemas,
)
from cludale.kernel.refusals import Busy, NotFound, Refusal
from cludale.kernel.times import rfc3339
from cludale.runtime.readiness import Trouble
from cludale.services.manifest import Service
from cludale.web import pages
from cludale.web.door import INTERNAL_BODY_BYTES
from cludale.web.metrics import Gauges, Metrics, RequestCounts
from cludale.web.openapi import finished

DESCRIPTION = """\
Concert tickets: never oversold, nothing acknowledged is lost, fast at the on-sale.

Anyone may place an order; the answer has an `accessToken`, the bearer for that order's routes.
The organizer's routes need the organizer's key. Money is in minor units, times are RFC 3339: in UTC, but
for a concert's `date` and `endsAt`, which keep their offset.
Errors are `application/problem+json` with a stable `type`; `/problems` lists them all.
`GET /livez` says that the server runs; `GET /readyz` is 503 `not-ready`, with the reason, while store, broker or
sidecar do not work, and 200 again by itself.
"""


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
    """Puts a span around the requests of both lanes."""

    def express(self, way: tuple[str, str], handler: ExpressHandler) -> ExpressHandler:
        """The handler, traced."""
        ...

    def asgi(self, app: ASGIApp) -> ASGIApp:
        """The app, traced."""
        ...


class WebApp:
    """Everything that is served: the ASGI app, and the express routes for the door."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        is_ready: Callable[[], bool],
        troubles: Callable[[], Sequence[Trouble]] = tuple,
        gauges: Gauges,
        max_body_bytes: int,
        version: str,
        traced: Traced | None = None,
        internal: Express | None = None,
        admit: Admit | None = None,
    ) -> None:
        """`is_ready` says whether the process is up, `troubles` what it needs and does not work.

        `internal` are routes for parts of the platform, in no documentation; `admit` looks at every request.
        """
        self.problems = Problems(*(service.manifest.statuses for service in services))
        self.requests = RequestCounts()
        self._is_ready = is_ready
        self._troubles = troubles
        self._version = version
        self._names = [service.name for service in services]
        self.metrics = Metrics(self.requests, gauges, version=version)
        self._max_body_bytes = max_body_bytes
        self._admit = admit
        self.internal: Express = {way: self._counted(way, handler) for way, handler in (internal or {}).items()}
        self.litestar = self._litestar(services)
        self.asgi: ASGIApp = _Counted(self.litestar, self.requests)
        self.express: Express = {
            way: self._counted(way, handler)
            for service in services
            for way, handler in {**service.routes.express, ("GET", "/livez"): _live}.items()
        }
        if traced is not None:
            self.asgi = traced.asgi(self.asgi)
            self.express = {way: traced.express(way, handler) for way, handler in self.express.items()}

    def _litestar(self, services: Sequence[Service]) -> Litestar:
        routes = [route for service in services for route in service.routes.handlers]
        self._shown = shown_schemas(routes)
        api = Router(
            "/",
            route_handlers=[*_options(routes), *routes],
            guards=[_let_in(self._admit), check_parameters],
        )
        own = [*self._own_routes(), *(_slowly(*way, handler) for way, handler in self.internal.items())]
        return Litestar(
            [api, *_options(own), *own],
            debug=False,
            exception_handlers={Exception: self._refuse},
            before_request=check_empty_body,
            openapi_config=OpenAPIConfig(
                title="Cludale Tickets",
                version=self._version,
                description=DESCRIPTION,
                license=License(name="MIT", identifier="MIT"),
                servers=[Server(url="/")],
                tags=[Tag(service.name, service.manifest.about) for service in services],
                components=Components(
                    security_schemes={
                        "organizer": SecurityScheme(type="http", scheme="bearer", description="The organizer's key."),
                        "buyer": SecurityScheme(
                            type="http", scheme="bearer", description="The `accessToken` of the order."
                        ),
                    }
                ),
                create_examples=False,
                operation_id_creator=lambda handler, *_: handler.name or handler.handler_name,
            ),
            logging_config=None,
            request_max_body_size=self._max_body_bytes,
        )

    def _own_routes(self) -> list[HTTPRouteHandler]:
        @get("/livez", tags=None, include_in_schema=False)
        async def livez() -> Response[Any]:
            return respond(LIVE)

        @get("/readyz", include_in_schema=False)
        async def readyz() -> Response[Any]:
            if not self._is_ready():
                raise NotReady
            if troubles := self._troubles():
                raise NotReady(*troubles)
            return respond(json_answer({"status": "ready"}))

        @get("/readyz/replica", include_in_schema=False)
        async def replica_readyz() -> Response[Any]:
            # What all replicas share is left out: taken away from all of them at once, buyers would have nobody left
            # who tells them what can't be done, and what can.
            if not self._is_ready():
                raise NotReady
            if own := [trouble for trouble in self._troubles() if not trouble.is_shared]:
                raise NotReady(*own)
            return respond(json_answer({"status": "ready"}))

        @get("/metrics", include_in_schema=False)
        async def metrics() -> Response[Any]:
            return respond(Answer(200, self.metrics.text(), "text/plain; version=0.0.4; charset=utf-8"))

        @get("/openapi.json", include_in_schema=False)
        async def openapi() -> Response[bytes]:
            return Response(self.openapi_document(), media_type=JSON)

        @get("/", include_in_schema=False)
        async def front() -> Response[bytes]:
            return _html(pages.front_page(self._version, self._names))

        @get("/docs", include_in_schema=False)
        async def docs() -> Response[bytes]:
            return _html(pages.docs_page())

        @get("/docs/{name:str}", include_in_schema=False)
        async def docs_asset(name: str) -> Response[Any]:
            if name == "start.js":
                return respond(Answer(200, pages.DOCS_SCRIPT, "text/javascript; charset=utf-8"))
            if name not in pages.ASSETS:
                raise NoSuchRoute(f"/docs/{name}")
            content = await asyncio.to_thread(pages.asset, name)
            return respond(Answer(200, content, pages.ASSETS[name], (("cache-control", "max-age=86400"),)))

        @get("/problems", include_in_schema=False)
        async def problem_list() -> Response[bytes]:
            return _html(pages.problem_list(self.problems.pages()))

        @get("/problems/{name:str}", include_in_schema=False)
        async def problem(name: str) -> Response[bytes]:
            page = self.problems.page(name)
            if page is None:
                raise NotFound("problem", name)
            return _html(pages.problem_page(page))

        return [livez, readyz, replica_readyz, metrics, openapi, front, docs, docs_asset, problem_list, problem]

    def openapi_document(self) -> bytes:
        """The OpenAPI 3.1 document, as JSON."""
        return msgspec.json.encode(finished(self.litestar.openapi_schema.to_schema(), self._shown))

    def _refuse(self, request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        """Any exception of a route or of the framework as a problem."""
        return respond(self.problems.answer(self._translated(request, error)))

    def _translated(self, request: Request[Any, Any, Any], error: Exception) -> Exception:
        """The framework's own exceptions in our words."""
        ours = error
        match error:
            case ValidationException():
                ours = invalid_parameters(request, error)
            case NotFoundException():
                ours = NoSuchRoute(request.url.path)
            case MethodNotAllowedException():
                allowed = (error.headers or {}).get("allow", "")
                ours = MethodNotAllowed(request.method, _with_head(each.strip() for each in allowed.split(",")))
            case HTTPException(status_code=413):
                ours = BodyTooLarge(self._max_body_bytes)
            case HTTPException(status_code=415):
                ours = UnsupportedMediaType(request.headers.get("content-type", ""))
            case HTTPException(status_code=status) if status < 500:
                ours = BadRequest(error.detail)
        return ours

    def _counted(self, way: tuple[str, str], handler: ExpressHandler) -> ExpressHandler:
        """The handler, its answers counted, its exceptions answered."""
        method, route = way
        count, problems, clock, admit = self.requests.add, self.problems, time.perf_counter, self._admit

        def counted(request: ExpressRequest) -> Answer | Awaitable[Answer]:
            if admit is not None:
                try:
                    admit(request.headers)
                except Refusal as refusal:
                    return problems.answer(refusal)
            answer = handler(request)
            if isinstance(answer, Answer):
                count(method, route, answer.status, 0.0)
                return answer
            return later(answer)

        async def later(awaited: Awaitable[Answer]) -> Answer:
            began = clock()
            try:
                answer = await awaited
            except Exception as error:  # noqa: BLE001 - each becomes a problem; those nobody foresaw are logged there
                answer = problems.answer(error)
            count(method, route, answer.status, clock() - began)
            return answer

        return counted


def _let_in(admit: Admit | None) -> Guard:
    """A guard; a function of its own, because the framework copies what a method is bound to."""

    def check(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        if admit is not None:
            admit(dict(connection.scope["headers"]))

    return check


def _with_head(methods: Iterable[str]) -> set[str]:
    """What may be read may be asked for its head."""
    allowed = set(methods)
    return allowed | {"HEAD"} if "GET" in allowed else allowed


def _options(handlers: Iterable[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """OPTIONS of each path. The framework's own names only the methods of whichever handler came first."""
    methods: dict[str, set[str]] = {}
    for handler in handlers:
        for path in handler.paths:
            methods.setdefault(path, {"OPTIONS"}).update(HttpMethod(each).value for each in handler.http_methods)
    return [_option(path, ", ".join(sorted(_with_head(each)))) for path, each in methods.items()]


def _option(path: str, allowed: str) -> HTTPRouteHandler:
    async def options() -> Response[None]:
        return Response(None, status_code=204, headers={"allow": allowed}, media_type=MediaType.TEXT)

    return HTTPRouteHandler(path, http_method=HttpMethod.OPTIONS, include_in_schema=False, status_code=204)(options)


def _slowly(method: str, path: str, handler: ExpressHandler) -> HTTPRouteHandler:
    """The same route through the framework, for what the express lane leaves to it (a pipelined request, say)."""

    async def answered(request: Request[Any, Any, Any]) -> Response[Any]:
        answer = handler(ExpressRequest("", dict(request.scope["headers"]), await request.body()))
        return respond(answer if isinstance(answer, Answer) else await answer)

    return HTTPRouteHandler(
        path,
        http_method=method,  # type: ignore[arg-type] # one of the methods that there are
        include_in_schema=False,
        request_max_body_size=INTERNAL_BODY_BYTES,
        opt={READS_BODY: True},
        status_code=200,
    )(answered)


LIVE = json_answer({"status": "ok"})


async def _live(request: ExpressRequest) -> Answer:
    check_no_body(request.body)
    return LIVE


def _html(page: bytes) -> Response[bytes]:
    return Response(
        page,
        media_type=MediaType.HTML,
        headers={"content-security-policy": pages.CONTENT_SECURITY_POLICY, "x-content-type-options": "nosniff"},
    )


class _Counted:
    """Counts what goes through the framework, by the route's pattern."""

    def __init__(self, app: Litestar, requests: RequestCounts) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"] == WHOLE_SERVER.decode():
            await self._tell_options(send)
            return
        began = time.perf_counter()
        is_whole = False
        # What is asked for its head is answered as if for all of it: the server leaves the body out.
        asked: Any = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope

        async def whole() -> Any:
            nonlocal is_whole
            message = await receive()
            if message["type"] == "http.request":
                is_whole = not message.get("more_body", False)
            elif not is_whole:
                # Left to the framework, this would be an error of the server's, counted and logged as one.
                raise BadRequest("The connection ended before the request was whole.")
            return message

        async def counting(message: Any) -> None:
            if message["type"] == "http.response.start":
                route = scope["path_template"] = asked.get("path_template")
                self._requests.add(
                    scope["method"], str(route or "(none)"), message["status"], time.perf_counter() - began
                )
            await send(message)

        await self._app(asked, whole, counting)

    async def _tell_options(self, send: Any) -> None:
        """`OPTIONS *`: what the server as a whole can do; no route of the framework has that path."""
        status, body, _, headers = OPTIONS_OF_THE_SERVER
        self._requests.add("OPTIONS", WHOLE_SERVER.decode(), status, 0.0)
        sent = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": body})
