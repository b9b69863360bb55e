"""Requests: a span for each request of a service's route that is let in.

Whoever is turned away at once, and whoever asks how the server is, gets none: the metrics count them.
"""

import re
from collections.abc import Awaitable, Callable, Collection

import msgspec
from opentelemetry.trace import Span

from cludale.ports.tracing import TRACEPARENT
from cludale.web.responses import Response, Stream
from cludale.web.routing import Handler, Request
from cludale_operations.telemetry.spans import Tracer, end, traceparent_of

_PARAMETER = re.compile(r"\{[^}]*\}")
_TRACEPARENT = b"traceparent"


class TracedRequests:
    """Begins the trace of what a request causes, or goes on with the caller's; the services see it as the caller's."""

    def __init__(
        self, tracer: Tracer, services: Collection[str], is_service: Callable[[str | None], bool] = lambda _: False
    ) -> None:
        """Requests below `/<service>` are that service's; those of others have no span.

        `is_service`: is this credential a service's of ours? Its caller's word on what is recorded counts, no other's.
        """
        self._tracer = tracer
        self._services = services
        self._is_service = is_service

    def handler(self, method: str, path: str, handler: Handler) -> Handler:
        """The handler of one route, traced."""
        service = self._service_of(path)
        if service is None:
            return handler
        shown = _PARAMETER.sub("{}", path)  # as queries and alerts of earlier releases have it
        name, tracer, is_service = f"{method} {shown}", self._tracer, self._is_service

        def traced(request: Request) -> Response | Awaitable[Response | Stream]:
            caller = request.header(_TRACEPARENT)
            begin = tracer.call if caller is not None and is_service(request.authorization) else tracer.request
            span = begin(service, name, caller)
            traceparent = traceparent_of(span)
            headers = {**request.headers, _TRACEPARENT: traceparent.encode()}
            response = handler(msgspec.structs.replace(request, headers=headers))
            return response if isinstance(response, Response) else later(span, traceparent, response)

        async def later(span: Span, traceparent: str, awaited: Awaitable[Response | Stream]) -> Response | Stream:
            TRACEPARENT.set(traceparent)  # in a task of its own
            response = await awaited
            _end(span, method, shown, response.status)
            return response

        return traced

    def _service_of(self, path: str) -> str | None:
        first = path[1:].partition("/")[0]
        return first if first in self._services else None


def _end(span: Span, method: str, path: str, status: int) -> None:
    span.set_attributes({"http.request.method": method, "http.response.status_code": status, "http.route": path})
    end(span, error=f"status {status}" if status >= 500 and status != 503 else None)
