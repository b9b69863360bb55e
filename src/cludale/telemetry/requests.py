"""Requests: a span for each request that is let in, around both lanes of the web server.

Whoever is turned away at once, and whoever asks how the server is, gets none: the metrics count them.
"""

import re
from collections.abc import Awaitable, Callable, Collection
from functools import lru_cache
from typing import Any

from opentelemetry.trace import Span

from cludale.http.answers import Answer
from cludale.http.routing import ExpressHandler, ExpressRequest
from cludale.ports.tracing import TRACEPARENT
from cludale.telemetry.spans import Tracer, end, traceparent_of

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]

_PARAMETER = re.compile(r"\{[^}]*\}")
_TRACEPARENT = b"traceparent"


class TracedRequests:
    """Begins the trace of what a request causes, or goes on with the caller's; the services see it as the caller's."""

    def __init__(self, tracer: Tracer, services: Collection[str]) -> None:
        """Requests below `/<service>` are that service's; those of others have no span."""
        self._tracer = tracer
        self._services = services

    def express(self, way: tuple[str, str], handler: ExpressHandler) -> ExpressHandler:
        """The handler of one route below the framework, traced."""
        method, route = way
        service = self._service_of(route)
        if service is None:
            return handler
        name, tracer = f"{method} {route}", self._tracer

        def traced(request: ExpressRequest) -> Answer | Awaitable[Answer]:
            span = tracer.request(service, name, request.header(_TRACEPARENT))
            traceparent = traceparent_of(span)
            headers = {**request.headers, _TRACEPARENT: traceparent.encode()}
            answer = handler(request._replace(headers=headers))
            return answer if isinstance(answer, Answer) else later(span, traceparent, answer)

        async def later(span: Span, traceparent: str, awaited: Awaitable[Answer]) -> Answer:
            TRACEPARENT.set(traceparent)  # in a task of its own
            answer = await awaited
            _end(span, method, route, answer.status)
            return answer

        return traced

    def asgi(self, app: ASGIApp) -> ASGIApp:
        """The app, traced."""

        async def traced(scope: Any, receive: Any, send: Any) -> None:
            service = self._service_of(scope["path"]) if scope["type"] == "http" else None
            if service is None:
                await app(scope, receive, send)
                return
            method = scope["method"]
            given = next((value for name, value in scope["headers"] if name == _TRACEPARENT), b"")
            span = self._tracer.request(service, method, given.decode("latin-1"))
            traceparent = traceparent_of(span)
            headers = [each for each in scope["headers"] if each[0] != _TRACEPARENT]
            scope["headers"] = [*headers, (_TRACEPARENT, traceparent.encode())]
            status = 500

            async def noting(message: Any) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                await send(message)

            token = TRACEPARENT.set(traceparent)
            try:
                await app(scope, receive, noting)
            finally:
                TRACEPARENT.reset(token)
                route = _route(str(scope.get("path_template") or ""))
                if route:
                    span.update_name(f"{method} {route}")
                _end(span, method, route, status)

        return traced

    def _service_of(self, path: str) -> str | None:
        first = path[1:].partition("/")[0]
        return first if first in self._services else None


@lru_cache(maxsize=256)
def _route(template: str) -> str:
    """The route as the express lane calls it."""
    return _PARAMETER.sub("{}", template)


def _end(span: Span, method: str, route: str, status: int) -> None:
    span.set_attributes({"http.request.method": method, "http.response.status_code": status})
    if route:
        span.set_attribute("http.route", route)
    end(span, error=f"status {status}" if status >= 500 and status != 503 else None)
