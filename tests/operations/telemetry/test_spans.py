"""Trace contexts, and whose child a span is."""

from collections.abc import Sequence

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanKind

from cludale_operations.telemetry.spans import MAX_LINKS, Tracer, parsed, traceparent_of

TRACE = "0af7651916cd43dd8448eb211c80319c"


def context(span: int = 1, *, sampled: bool = True, trace: str = TRACE) -> str:
    return f"00-{trace}-{span:016x}-{'01' if sampled else '00'}"


class Recorded:
    def __init__(self, sampler: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        resources = {"orders": Resource({"service.name": "orders"})}
        self.tracer = Tracer(resources, [SimpleSpanProcessor(self._exporter)], ParentBased(sampler))

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        "",
        "00",
        "hello",
        f"ff-{TRACE}-{1:016x}-01",
        f"00-{0:032x}-{1:016x}-01",
        f"00-{TRACE}-{0:016x}-01",
        f"00-{TRACE}-{1:016x}-01-more",
        f"00-{TRACE.upper()}-{1:016x}-01",
    ],
)
def test_what_is_no_trace_context_is_taken_for_none(nonsense: str | None) -> None:
    assert parsed(nonsense) is None


def test_a_later_version_is_read_as_far_as_it_looks_like_ours() -> None:
    assert parsed(f"01-{TRACE}-{1:016x}-01-more") is not None


def test_a_request_goes_on_with_its_callers_trace() -> None:
    recorded = Recorded()
    recorded.tracer.request("orders", "POST /orders", context(7)).end()
    (span,) = recorded.spans
    assert span.parent is not None
    assert span.context is not None
    assert (span.parent.span_id, f"{span.context.trace_id:032x}") == (7, TRACE)


def test_a_request_without_a_trace_begins_one() -> None:
    recorded = Recorded()
    recorded.tracer.request("orders", "POST /orders", "nonsense").end()
    (span,) = recorded.spans
    assert span.parent is None


def test_a_request_that_is_not_sampled_is_not_recorded_and_says_so_to_what_it_causes() -> None:
    recorded = Recorded(ALWAYS_OFF)
    request = recorded.tracer.request("orders", "POST /orders", None)
    request.end()
    traceparent = traceparent_of(request)
    assert traceparent.endswith("-00")
    assert recorded.tracer.child("orders", "commit", SpanKind.INTERNAL, traceparent) is None
    assert recorded.spans == ()


def test_a_trace_context_has_no_other_flag_than_sampled() -> None:
    """OpenTelemetry's is 03 at a trace's first span: its id is random. Of version 00, Go's takes no such flag."""
    assert traceparent_of(Recorded().tracer.request("orders", "POST /orders", None)).endswith("-01")


def linked(recorded: Recorded, traceparents: Sequence[str | None]) -> ReadableSpan:
    span = recorded.tracer.shared("orders", "commit", SpanKind.INTERNAL, traceparents)
    assert span is not None
    span.end()
    return recorded.spans[-1]


def test_work_for_many_is_the_child_of_the_first_that_is_sampled_and_linked_to_the_others_once_each() -> None:
    spans = [None, context(1, sampled=False), context(2), context(3), context(3), context(2), context(4)]
    span = linked(Recorded(), spans)
    assert span.parent is not None
    assert span.parent.span_id == 2
    assert [link.context.span_id for link in span.links] == [3, 4]


def test_links_are_bounded() -> None:
    span = linked(Recorded(), [context(i) for i in range(1, 1_000)])
    assert len(span.links) == MAX_LINKS
