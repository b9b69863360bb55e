"""One order over the distributed shape: still one trace, with the sidecars' own spans between ours."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from tests.operations.telemetry.receiver import Receiver, receiving
from tests.operations.telemetry.test_one_order import CALLING_SPAN, buy, caller, wait_for
from tests.parts import need
from tests.served import Served, environment

from cludale_operations.local.free_ports import free_port

READY_SECONDS = 120
SIDES = (("payments", "provider charge"), ("concerts", "POST /concerts/{}/reserve"))
"""What the order does not go on from."""


@contextmanager
def up(folder: Path, **settings: str) -> Iterator[Served]:
    """`cludale up --distributed`."""
    for program in ("postgres", "nats-server", "daprd"):
        need(program)
    port = free_port()
    given = {name: value for name, value in os.environ.items() if name == "CLUDALE_CACHE"}
    process = subprocess.Popen(
        [sys.executable, "-m", "cludale_operations", "up", "--distributed"],
        env=environment(folder, CLUDALE_PORT=str(port), **given, **settings),
        stdout=subprocess.PIPE,
        text=True,
    )
    served = Served(process, f"http://127.0.0.1:{port}", folder)
    try:
        _wait_until_ready(served)
        yield served
    finally:
        served.stop()
        assert process.stdout is not None
        process.stdout.close()


def _wait_until_ready(served: Served) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        assert served.process.poll() is None, "it ended"
        assert time.monotonic() < deadline, "it is not ready"
        try:
            if served.http.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)


@pytest.fixture(scope="module")
def collected() -> Iterator[Receiver]:
    with receiving() as each:
        yield each


@pytest.fixture(scope="module")
def distributed(collected: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with up(tmp_path_factory.mktemp("data"), OTEL_EXPORTER_OTLP_ENDPOINT=collected.url) as running:
        running.concert("the-concert", seats=1_000)
        yield running


def test_an_order_is_one_trace_over_sidecars_and_broker(distributed: Served, collected: Receiver) -> None:
    trace_id, traceparent = caller()
    wait_for(collected, buy(distributed, traceparent=traceparent))
    chain = [
        ("orders", "POST /orders"),
        ("orders", "reserve seats"),
        ("concerts", "POST /concerts/{}/reserve"),
        ("payments", "process TicketReserved"),
        ("payments", "provider charge"),
        ("concerts", "process PaymentCompleted"),
        ("orders", "process SeatsSold"),
        ("notifications", "process OrderPaid"),
        ("audit", "process NotificationSent"),
    ]

    def there(receiver: Receiver) -> bool:
        trace = receiver.trace(trace_id)
        known = {span.span_id for span in trace} | {CALLING_SPAN}
        ours = {(span.service, span.name) for span in trace}
        return set(chain) <= ours and all(span.parent_id in known for span in trace)

    collected.until(there)
    spans = {(span.service, span.name): span for span in collected.trace(trace_id)}
    by_id = {span.span_id: span for span in collected.trace(trace_id)}

    def is_below(name: tuple[str, str], above: tuple[str, str]) -> bool:
        at = spans[name]
        while at.parent_id in by_id:
            at = by_id[at.parent_id]
            if (at.service, at.name) == above:
                return True
        return False

    for above, below in pairwise(chain):
        if above not in SIDES:
            assert is_below(below, above), f"{below} is not below {above}"
    assert spans["orders", "POST /orders"].parent_id == CALLING_SPAN
    assert is_below(("concerts", "process PaymentCompleted"), ("payments", "process TicketReserved"))
    sidecars = [span for span in collected.trace(trace_id) if span.resource.get("service.namespace") != "cludale"]
    assert {span.service for span in sidecars} >= {"orders", "concerts"}, "the sidecars' own spans are in the trace"


def test_every_process_is_an_instance_of_its_own(distributed: Served, collected: Receiver) -> None:
    wait_for(collected, buy(distributed))

    def instances(receiver: Receiver) -> set[tuple[str, str]]:
        ours = [span.resource for span in receiver.spans if span.resource.get("service.namespace") == "cludale"]
        return {(each["service.name"], each["service.instance.id"]) for each in ours}

    collected.until(lambda receiver: len(instances(receiver)) >= 6)
    assert len(instances(collected)) == 6


def test_sidecars_record_nothing_that_the_services_do_not(distributed: Served, collected: Receiver) -> None:
    """They ask each other for keys all the time, look at their sidecars, deliver: no trace of an order."""
    wait_for(collected, buy(distributed))

    def strangers(receiver: Receiver) -> set[tuple[str, str]]:
        ours = {span.trace_id for span in receiver.spans if span.resource.get("service.namespace") == "cludale"}
        return {(span.service, span.name) for span in receiver.spans if span.trace_id not in ours}

    collected.until(lambda receiver: not strangers(receiver))
    assert [span for span in collected.spans if "/publish/" in span.name], "what they do for an order they record"
