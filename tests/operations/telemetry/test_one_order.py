"""One order, followed from the buyer's request to the confirmation."""

import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.operations.telemetry.receiver import Receiver, Span
from tests.patience import until
from tests.served import Served, serve

from cludale.services import NAMES

pytestmark = pytest.mark.slow

SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
CALLING_SPAN = "b7ad6b7169203331"


def caller(*, sampled: bool = True) -> tuple[str, str]:
    """A trace that a buyer's browser has begun: its id, and the header."""
    trace_id = secrets.token_hex(16)
    return trace_id, f"00-{trace_id}-{CALLING_SPAN}-{'01' if sampled else '00'}"


def buy(served: Served, **headers: str) -> str:
    order = {"concertId": "the-concert", "userId": "me", "quantity": 2}
    answer = httpx.post(f"{served.url}/orders", json=order, headers=headers, timeout=20)
    assert answer.status_code == 201, answer.text
    order_id: str = answer.json()["id"]
    token = {"authorization": f"Bearer {answer.json()['accessToken']}"}
    paid = httpx.get(f"{served.url}/orders/{order_id}?wait=10", headers=token, timeout=20)
    assert paid.json()["status"] == "Paid"
    return order_id


def wait_for(receiver: Receiver, *order_ids: str) -> None:
    """Wait until the spans of these orders have come: audit hearing that the buyer was told is the last of them."""
    last = "process NotificationSent"
    wanted = set(order_ids)
    receiver.until(lambda r: wanted <= {span.attributes["cludale.order.id"] for span in r.spans if span.name == last})


def named(spans: list[Span], service: str, name: str) -> Span:
    found = [span for span in spans if (span.service, span.name) == (service, name)]
    assert len(found) == 1, f"{name}: {found}"
    return found[0]


def test_an_order_is_one_trace_through_all_services(watched: Served, receiver: Receiver) -> None:
    trace_id, traceparent = caller()
    wait_for(receiver, buy(watched, traceparent=traceparent))
    # tickets hears of it at its own pace, and a span that ends after its children may come after them
    everybody = set(NAMES)
    receiver.until(lambda r: everybody <= {span.service for span in r.trace(trace_id)})
    receiver.until(lambda r: orphans(r.trace(trace_id)) == ["POST /orders"])
    trace = receiver.trace(trace_id)
    assert {span.service for span in trace} == everybody

    request = named(trace, "orders", "POST /orders")
    assert (request.kind, request.parent_id) == (SERVER, CALLING_SPAN)
    assert request.attributes["http.response.status_code"] == 201
    call = named(trace, "orders", "reserve seats")
    hold = named(trace, "concerts", "hold seats")
    assert (call.parent_id, hold.parent_id) == (request.span_id, call.span_id)
    assert (call.kind, hold.kind) == (CLIENT, SERVER)

    batches = [span for span in trace if span.name == "decide commands"]
    payment = named(trace, "payments", "process TicketReserved")
    sale = named(trace, "concerts", "process PaymentCompleted")
    paid = named(trace, "orders", "process SeatsSold")
    told = named(trace, "notifications", "process OrderPaid")
    assert [batch.parent_id for batch in batches] == [hold.span_id, sale.span_id]
    assert named(trace, "payments", "provider charge").parent_id == payment.span_id
    assert payment.parent_id == request.span_id
    assert sale.parent_id == payment.span_id
    assert paid.parent_id == sale.span_id
    assert told.parent_id == paid.span_id
    assert named(trace, "audit", "process NotificationSent").parent_id == told.span_id
    assert {span.name for span in trace if span.kind == PRODUCER} == {"publish"}


def orphans(trace: list[Span]) -> list[str]:
    """The names of those whose parent is not among them."""
    known = {span.span_id for span in trace}
    return [span.name for span in trace if span.parent_id not in known]


def test_no_span_of_an_order_is_an_orphan(watched: Served, receiver: Receiver) -> None:
    order_id = buy(watched)
    wait_for(receiver, order_id)
    request = next(span for span in receiver.spans if span.attributes.get("cludale.order.id") == order_id)
    # a span that ends after its children may come after them
    receiver.until(lambda r: orphans(r.trace(request.trace_id)) == ["POST /orders"])
    trace = receiver.trace(request.trace_id)
    assert {span.resource["service.namespace"] for span in trace} == {"cludale"}
    assert len({span.resource["service.instance.id"] for span in trace}) == 1


def test_what_a_buyer_says_of_recording_counts_for_nothing(watched: Served, receiver: Receiver) -> None:
    trace_id, traceparent = caller(sampled=False)
    wait_for(receiver, buy(watched, traceparent=traceparent))
    assert named(receiver.trace(trace_id), "orders", "POST /orders").parent_id == CALLING_SPAN


async def test_an_order_that_is_not_sampled_has_no_spans_and_sells_all_the_same(
    receiver: Receiver, tmp_path: Path
) -> None:
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0",
    }
    # a flag, and a trace id that the ratio sampler would take: it looks at the lower half
    trace_id = f"{secrets.token_hex(8)}{1:016x}"
    with serve(tmp_path, settings=settings) as alone:
        alone.concert("the-concert")
        order_id = buy(alone, traceparent=f"00-{trace_id}-{CALLING_SPAN}-01")
        await until(lambda: len(story(alone, order_id)) == 8)
        alone.stop()  # sends what waits
    assert receiver.trace(trace_id) == []


def story(served: Served, order_id: str) -> list[object]:
    items: list[object] = served.http.get(f"/audit/orders/{order_id}", headers=served.organizer).json()["items"]
    return items


def test_a_batch_of_commands_is_linked_to_each(watched: Served, receiver: Receiver) -> None:
    with ThreadPoolExecutor(16) as pool:
        orders = list(pool.map(lambda _: buy(watched), range(64)))
    wait_for(receiver, *orders)

    def folding(receiver: Receiver) -> list[Span]:
        return [span for span in receiver.spans if span.name == "decide commands" and span.links]

    def are_whole(receiver: Receiver) -> bool:
        there = {span.span_id for span in receiver.spans}
        return all(link in there for batch in folding(receiver) for link in batch.links)

    receiver.until(lambda receiver: bool(folding(receiver)) and are_whole(receiver))
    for batch in folding(receiver):
        assert len(batch.links) + 1 == batch.attributes["cludale.commands"]


async def test_metrics_and_logs_arrive_and_a_log_line_knows_its_trace(receiver: Receiver, tmp_path: Path) -> None:
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "CLUDALE_LOG_LEVEL": "info"}
    trace_id, traceparent = caller()
    with serve(tmp_path, settings=settings) as alone:
        alone.concert("the-concert")
        order_id = buy(alone, traceparent=traceparent)
        await until(lambda: len(story(alone, order_id)) == 8)
        shown = alone.http.get("/metrics").text
        alone.stop()  # sends what waits
        metrics = receiver.metrics
    assert 'cludale_events_committed_total{reason="",service="orders",type="OrderPaid"} 1.0' in shown
    events = {labels["type"]: value for labels, value in metrics["cludale_events_committed"]}
    assert events["OrderPaid"] == events["NotificationSent"] == 1
    assert ({"outcome": "held"}, 1) in metrics["cludale_hold_seconds"]
    assert "cludale_http_requests" in metrics
    assert "process_cpu_seconds" in metrics
    (line,) = [line for line in receiver.logs if order_id in line.text]
    assert line.trace_id == trace_id
