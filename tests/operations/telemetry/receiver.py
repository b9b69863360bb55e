"""An OTLP collector for tests: takes the real protobuf over HTTP, as a collector does, and keeps it."""

import gzip
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Span(NamedTuple):
    service: str
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    links: list[str]
    attributes: dict[str, Any]
    failed: bool
    resource: dict[str, Any]


class LogLine(NamedTuple):
    service: str
    text: str
    trace_id: str


class Receiver:
    """What came. `status` is what it answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 200
        self.spans: list[Span] = []
        self.logs: list[LogLine] = []
        self.bodies: list[bytes] = []
        """All that came, as it came."""
        self.metrics: dict[str, list[tuple[dict[str, Any], float]]] = {}
        """The newest points of each metric: labels, and the value or, of a histogram, the count."""

    def take(self, path: str, body: bytes) -> None:
        self.bodies.append(body)
        if path == "/v1/traces":
            self._take_traces(ExportTraceServiceRequest.FromString(body))
        elif path == "/v1/logs":
            self._take_logs(ExportLogsServiceRequest.FromString(body))
        elif path == "/v1/metrics":
            self._take_metrics(ExportMetricsServiceRequest.FromString(body))
        else:
            raise AssertionError(path)

    def _take_traces(self, request: ExportTraceServiceRequest) -> None:
        for group in request.resource_spans:
            resource = _values(group.resource.attributes)
            for scope in group.scope_spans:
                for span in scope.spans:
                    assert span.start_time_unix_nano <= span.end_time_unix_nano
                    self.spans.append(
                        Span(
                            resource["service.name"],
                            span.name,
                            span.kind,
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            [link.span_id.hex() for link in span.links],
                            _values(span.attributes),
                            span.status.code == 2,
                            resource,
                        )
                    )

    def _take_logs(self, request: ExportLogsServiceRequest) -> None:
        for group in request.resource_logs:
            service = _values(group.resource.attributes)["service.name"]
            for scope in group.scope_logs:
                self.logs += [
                    LogLine(service, record.body.string_value, record.trace_id.hex()) for record in scope.log_records
                ]

    def _take_metrics(self, request: ExportMetricsServiceRequest) -> None:
        for group in request.resource_metrics:
            for scope in group.scope_metrics:
                for metric in scope.metrics:
                    data = getattr(metric, metric.WhichOneof("data"))
                    self.metrics[metric.name] = [
                        (
                            _values(point.attributes),
                            point.count if hasattr(point, "bucket_counts") else point.as_double or point.as_int,
                        )
                        for point in data.data_points
                    ]

    def until(self, there: Callable[["Receiver"], bool], seconds: float = 60) -> None:
        """Wait until what is wanted has come."""
        deadline = time.monotonic() + seconds
        while not there(self):
            assert time.monotonic() < deadline, f"not there in {seconds} s: {sorted({s.name for s in self.spans})}"
            time.sleep(0.02)

    def trace(self, trace_id: str) -> list[Span]:
        return [span for span in self.spans if span.trace_id == trace_id]


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.headers["content-type"] == "application/x-protobuf"
            if receiver.status == 200:
                receiver.take(self.path, body)
            self.send_response(receiver.status)
            if receiver.status == 308:
                self.send_header("location", f"{receiver.url}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
