"""Which traces are recorded, and who has a say in that."""

from collections.abc import Sequence

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased

from cludale.web.responses import Response, json_response
from cludale.web.routing import Request
from cludale_operations.telemetry.requests import TracedRequests
from cludale_operations.telemetry.sampling import share_of
from cludale_operations.telemetry.spans import Tracer

TRACE = f"{7:016x}{1:016x}"
"""A trace that the ratio sampler takes at any share: it looks at the lower half."""
SERVICE = "Bearer the-services-own"


def context(*, sampled: bool) -> str:
    return f"00-{TRACE}-{9:016x}-{'01' if sampled else '00'}"


class Recorded:
    """A tracer with what it recorded, and requests that go through it."""

    def __init__(self, sampler: Sampler) -> None:
        self._exporter = InMemorySpanExporter()
        resources = {"orders": Resource({"service.name": "orders"})}
        self.tracer = Tracer(resources, [SimpleSpanProcessor(self._exporter)], sampler)
        self.passed: list[str] = []
        requests = TracedRequests(self.tracer, ["orders"], lambda credential: credential == SERVICE)
        self._handler = requests.handler("POST", "/orders", self._handle)

    def _handle(self, request: Request) -> Response:
        self.passed.append(request.headers[b"traceparent"].decode())
        return json_response({})

    def ask(self, traceparent: str, authorization: str = "Bearer an-organizers-key") -> str:
        """The trace context that the service was given."""
        headers = {b"traceparent": traceparent.encode(), b"authorization": authorization.encode()}
        self._handler(Request("", headers))
        return self.passed[-1]

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()


def test_nobody_outside_can_have_a_request_recorded_by_its_flag_or_by_its_trace() -> None:
    recorded = Recorded(ParentBased(TraceIdRatioBased(0.01)))
    passed = [recorded.ask(context(sampled=True)) for _ in range(1_000)]
    assert all(each.startswith(f"00-{TRACE}-") for each in passed), "the trace goes on"
    sampled = sum(each.endswith("-01") for each in passed)
    assert 0 <= sampled < 40  # 10 are to be expected; 40 in one of 10^12 runs


def test_nobody_outside_can_keep_a_request_from_being_recorded() -> None:
    assert Recorded(ParentBased(ALWAYS_ON)).ask(context(sampled=False)).endswith("-01")


@pytest.mark.parametrize(("sampled", "sampler"), [(True, ALWAYS_OFF), (False, ALWAYS_ON)])
def test_services_keep_to_what_each_other_says(sampled: bool, sampler: Sampler) -> None:
    passed = Recorded(ParentBased(sampler)).ask(context(sampled=sampled), SERVICE)
    assert passed.endswith("-01" if sampled else "-00")


@pytest.mark.parametrize(
    ("sampler", "share"),
    [
        (TraceIdRatioBased(0.1), 0.1),
        (ParentBased(TraceIdRatioBased(1e-5)), 1e-5),
        (ParentBased(ALWAYS_ON), 1.0),
        (ALWAYS_OFF, 1.0),
    ],
)
def test_the_share_is_read_from_the_sampler(sampler: Sampler, share: float) -> None:
    assert share_of(sampler) == share
