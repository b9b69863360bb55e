"""Spans: what is recorded of one piece of work, and how the next one learns whose child it is.

A span is made an OpenTelemetry span when it is over; until then it is four numbers. Its `traceparent` goes along with
what it causes. Where the trace is not sampled there is no span, and the trace context goes through untouched.
"""

import random
import re
from collections.abc import Callable, Iterable, Mapping
from time import time_ns
from typing import NamedTuple

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import Decision, Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

SCOPE = InstrumentationScope("cludale")
MAX_LINKS = 128
"""OpenTelemetry's own limit; a turn may fold more."""

AttributeValue = str | int | float | bool
Finished = Callable[[ReadableSpan], None]

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NOT_SAMPLED = TraceFlags(TraceFlags.DEFAULT)
_OK = Status(StatusCode.UNSET)


class Context(NamedTuple):
    """What a traceparent says."""

    trace_id: int
    span_id: int
    sampled: bool


def parsed(traceparent: str | None) -> Context | None:
    """What it says, if it is one (W3C Trace Context, level 1; later versions as far as they look like it)."""
    match = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more):
        return None
    context = Context(int(trace_id, 16), int(span_id, 16), bool(int(flags, 16) & 1))
    return context if context.trace_id and context.span_id else None


class Span:
    """A piece of work that is going on. `end` it once."""

    __slots__ = (
        "_context", "_finished", "_parent", "_resource", "attributes", "begun", "kind", "links", "name", "traceparent",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        kind: SpanKind,
        context: Context,
        parent: Context | None,
        *,
        resource: Resource,
        finished: Finished,
        begun: int,
        links: Iterable[Context] = (),
    ) -> None:
        self.name = name
        self.kind = kind
        self.begun = begun
        self.links = [Link(_otel(each)) for each in links]
        self.attributes: dict[str, AttributeValue] = {}
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{'01' if context.sampled else '00'}"
        """What is caused within names this span as its parent."""
        self._context = context
        self._parent = parent
        self._resource = resource
        self._finished = finished

    def end(self, *, error: str | None = None, at: int | None = None) -> None:
        """It is over; `error` says what went wrong, if it did."""
        if not self._context.sampled:
            return
        self._finished(
            ReadableSpan(
                self.name,
                context=_otel(self._context),
                parent=None if self._parent is None else _otel(self._parent),
                resource=self._resource,
                attributes=self.attributes,
                links=self.links,
                kind=self.kind,
                status=_OK if error is None else Status(StatusCode.ERROR, error[:1_000]),
                start_time=self.begun,
                end_time=at or time_ns(),
                instrumentation_scope=SCOPE,
            )
        )


def _otel(context: Context) -> SpanContext:
    flags = _SAMPLED if context.sampled else _NOT_SAMPLED
    return SpanContext(context.trace_id, context.span_id, is_remote=False, trace_flags=flags)


class Tracer:
    """Begins spans. `resources` has one for each service of this process, so that a process of five shows as five."""

    def __init__(self, resources: Mapping[str, Resource], sampler: Sampler, finished: Finished) -> None:
        self._resources = resources
        self._sampler = sampler
        self._finished = finished
        self._bits = random.Random()  # noqa: S311 - ids of spans are no secrets

    def _begin(
        self,
        service: str,
        name: str,
        kind: SpanKind,
        context: Context,
        parent: Context | None,
        begun: int | None = None,
        links: Iterable[Context] = (),
    ) -> Span:
        return Span(
            name,
            kind,
            context,
            parent,
            resource=self._resources[service],
            finished=self._finished,
            begun=begun or time_ns(),
            links=links,
        )

    def request(self, service: str, name: str, traceparent: str | None) -> Span:
        """The span of a request from outside: in the caller's trace, or the first of its own; sampled as is said."""
        parent = parsed(traceparent)
        trace_id = parent.trace_id if parent is not None else self._bits.getrandbits(128) or 1
        around = None
        if parent is not None:
            flags = _SAMPLED if parent.sampled else _NOT_SAMPLED
            remote = SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=flags)
            around = trace.set_span_in_context(NonRecordingSpan(remote))
        decision = self._sampler.should_sample(around, trace_id, name, SpanKind.SERVER).decision
        sampled = decision is Decision.RECORD_AND_SAMPLE
        return self._begin(service, name, SpanKind.SERVER, Context(trace_id, self._new_id(), sampled), parent)

    def child(
        self, service: str, name: str, kind: SpanKind, traceparent: str | None, *, begun: int | None = None
    ) -> Span | None:
        """The span of what `traceparent` caused; None where that is not traced."""
        parent = parsed(traceparent)
        if parent is None or not parent.sampled:
            return None
        return self._begin(service, name, kind, parent._replace(span_id=self._new_id()), parent, begun)

    def shared(
        self, service: str, name: str, kind: SpanKind, traceparents: Iterable[str | None], *, begun: int | None = None
    ) -> Span | None:
        """The span of what is done for many at once: a child of the first that is traced, linked to the others."""
        seen = dict.fromkeys(traceparents)
        traced = [context for each in seen if (context := parsed(each)) is not None and context.sampled]
        if not traced:
            return None
        parent, others = traced[0], traced[1 : MAX_LINKS + 1]
        return self._begin(service, name, kind, parent._replace(span_id=self._new_id()), parent, begun, others)

    def _new_id(self) -> int:
        return self._bits.getrandbits(64) or 1
