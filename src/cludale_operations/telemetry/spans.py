"""Spans: how they begin and end, and how the next one learns whose child it is. OpenTelemetry's SDK does the rest.

A span's `traceparent` goes along with what it causes. Where the trace is not sampled there is no span, and the trace
context goes through untouched.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes

from cludale_operations.telemetry.sampling import EdgeSampler, from_outside

SCOPE = "cludale"
MAX_LINKS = 128
"""OpenTelemetry's own limit; a turn may fold more."""

_extract = TraceContextTextMapPropagator().extract
_NOTHING = Context()


def context_of(traceparent: str | None) -> Context:
    """What it says, as OpenTelemetry's context; an empty one if it is no trace context (W3C, level 1)."""
    return _extract({"traceparent": traceparent}, _NOTHING) if traceparent else _NOTHING


@lru_cache(maxsize=4_096)
def parsed(traceparent: str | None) -> SpanContext | None:
    """What it says, if it is one. An event's is asked for by its publisher and by all who hear it."""
    context = get_current_span(context_of(traceparent)).get_span_context()
    return context if context.is_valid else None


def traceparent_of(span: Span) -> str:
    """What is caused within names this span as its parent.

    Of the flags only whether it is sampled: daprd takes a traceparent with others for none.
    """
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{'01' if context.trace_flags.sampled else '00'}"


def end(span: Span, *, error: str | None = None, at: int | None = None) -> None:
    """It is over; `error` says what went wrong, if it did."""
    if error is not None:
        span.set_status(Status(StatusCode.ERROR, error[:1_000]))
    span.end(at)


class Tracer:
    """Begins spans. `resources` has one for each service of this process, so that a process of five shows as five."""

    def __init__(
        self,
        resources: Mapping[str, Resource],
        processors: Collection[SpanProcessor],
        sampler: Sampler | None = None,
    ) -> None:
        """Without a sampler: the one that `OTEL_TRACES_SAMPLER` names."""
        self._tracers = {}
        for service, resource in resources.items():
            provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
            provider.sampler = EdgeSampler(provider.sampler)
            for each in processors:
                provider.add_span_processor(each)
            self._tracers[service] = provider.get_tracer(SCOPE)

    def request(self, service: str, name: str, traceparent: str | None) -> Span:
        """The span of a request from outside: in the caller's trace, or the first of its own.

        Whether it is recorded is not for the caller to say.
        """
        return self._tracers[service].start_span(name, from_outside(context_of(traceparent)), SpanKind.SERVER)

    def call(self, service: str, name: str, traceparent: str | None) -> Span:
        """The span of a request of another service of ours: recorded if the caller says that its trace is."""
        return self._tracers[service].start_span(name, context_of(traceparent), SpanKind.SERVER)

    def child(
        self,
        service: str,
        name: str,
        kind: SpanKind,
        traceparent: str | None,
        attributes: Attributes = None,
        *,
        begun: int | None = None,
    ) -> Span | None:
        """The span of what `traceparent` caused; None where that is not traced."""
        return self.shared(service, name, kind, [traceparent], attributes, begun=begun)

    def shared(
        self,
        service: str,
        name: str,
        kind: SpanKind,
        traceparents: Iterable[str | None],
        attributes: Attributes = None,
        *,
        begun: int | None = None,
    ) -> Span | None:
        """The span of what is done for many at once: a child of the first that is traced, linked to the others."""
        seen = dict.fromkeys(traceparents)
        traced = [context for each in seen if (context := parsed(each)) is not None and context.trace_flags.sampled]
        if not traced:
            return None
        within = set_span_in_context(NonRecordingSpan(traced[0]), _NOTHING)
        links = [Link(each) for each in traced[1 : MAX_LINKS + 1]]
        # attributes that are there from the beginning cost a third of those that come later
        return self._tracers[service].start_span(name, within, kind, attributes, links, begun)
