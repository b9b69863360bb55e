"""Application Insights: the real exporter, against a double of the ingestion endpoint (`POST /v2.1/track`).

The double takes what the service takes, as far as its documentation and the exporter's own client say; whether the
service would show it as we mean it can only be seen in an Azure account.
"""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import SpanKind
from tests.operations.telemetry.test_one_order import CALLING_SPAN, buy, caller
from tests.patience import eventually
from tests.served import serve

from cludale_operations.telemetry.destinations import application_insights
from cludale_operations.telemetry.spans import Tracer, traceparent_of

KEY = "00000000-0000-0000-0000-000000000001"


class Ingestion:
    """A double of the ingestion endpoint: keeps the envelopes that it is sent."""

    def __init__(self, url: str) -> None:
        self.connection_string = f"InstrumentationKey={KEY};IngestionEndpoint={url}/"
        self.envelopes: list[dict[str, Any]] = []

    def of(self, base_type: str) -> list[dict[str, Any]]:
        return [each for each in self.envelopes if each["data"]["baseType"] == base_type]


@pytest.fixture
def ingestion() -> Iterator[Ingestion]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path.startswith("/v2.1/track"), self.path
            envelopes = json.loads(body)
            endpoint.envelopes += envelopes
            answer = {"itemsReceived": len(envelopes), "itemsAccepted": len(envelopes), "errors": []}
            said = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    endpoint = Ingestion(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield endpoint
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_order_is_one_operation_with_its_metrics_and_logs(ingestion: Ingestion, tmp_path: Path) -> None:
    trace_id, traceparent = caller()
    settings = {
        "APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string,
        "CLUDALE_LOG_LEVEL": "info",
    }
    with serve(tmp_path, settings=settings) as served:
        served.concert("the-concert")
        order_id = buy(served, traceparent=traceparent)
        told_at = f"/notifications?orderId={order_id}&status=Logged"
        assert eventually(lambda: bool(served.http.get(told_at, headers=served.organizer).json()["items"]))
        served.stop()

    assert {each["iKey"] for each in ingestion.envelopes} == {KEY}
    operation = [each for each in ingestion.envelopes if each["tags"].get("ai.operation.id") == trace_id]
    assert {each["tags"]["ai.cloud.role"] for each in operation} >= {
        "cludale.orders",
        "cludale.concerts",
        "cludale.payments",
    }
    requests = [each for each in operation if each["data"]["baseType"] == "RequestData"]
    (placed,) = [each for each in requests if each["data"]["baseData"]["name"] == "POST /orders"]
    assert placed["tags"]["ai.operation.parentId"] == CALLING_SPAN
    assert placed["data"]["baseData"]["responseCode"] == "201"
    (called,) = [each for each in operation if each["data"]["baseData"].get("name") == "reserve seats"]
    assert called["data"]["baseType"] == "RemoteDependencyData"
    assert called["tags"]["ai.operation.parentId"] == placed["data"]["baseData"]["id"]
    assert called["data"]["baseData"]["properties"]["cludale.order.id"] == order_id

    points = [point for each in ingestion.of("MetricData") for point in each["data"]["baseData"]["metrics"]]
    assert {"cludale_events_committed", "cludale_hold_seconds", "cludale_http_requests"} <= {
        point["name"] for point in points
    }
    (told,) = [each for each in ingestion.of("MessageData") if order_id in each["data"]["baseData"]["message"]]
    assert told["tags"]["ai.operation.id"] == trace_id


def sample_rates(ingestion: Ingestion, sampler: Sampler) -> dict[str, list[float | None]]:
    """What 400 requests came to: the sample rate of each envelope, by its kind."""
    destination = application_insights(ingestion.connection_string)
    tracer = Tracer({"orders": Resource({"service.name": "orders"})}, [destination.spans], sampler)
    for _ in range(400):
        request = tracer.request("orders", "POST /orders", None)
        call = tracer.child("orders", "reserve seats", SpanKind.CLIENT, traceparent_of(request))
        if call is not None:
            call.end()
        request.end()
    destination.close(60)  # however busy the machine is
    kinds = ("RequestData", "RemoteDependencyData")
    return {kind: [each.get("sampleRate") for each in ingestion.of(kind)] for kind in kinds}


def test_what_is_recorded_counts_for_what_was_not(ingestion: Ingestion) -> None:
    rates = sample_rates(ingestion, ParentBased(TraceIdRatioBased(0.25)))
    assert set(rates["RequestData"]) == {25.0}
    assert rates["RemoteDependencyData"] == rates["RequestData"]
    counted = sum(100 / rate for rate in rates["RequestData"] if rate)
    assert 220 < counted < 580  # 400 but for chance: five standard deviations


def test_where_all_are_recorded_each_counts_once(ingestion: Ingestion) -> None:
    assert sample_rates(ingestion, ParentBased(ALWAYS_ON))["RequestData"] == [None] * 400
