"""A destination that is slow or away: it hurts nobody, is said once, and what comes later arrives."""

import logging
import threading
import time
from enum import Enum
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags
from tests.patience import until

from cludale_operations.telemetry.shipping import Destination, Exporters


def span() -> ReadableSpan:
    return ReadableSpan("span", SpanContext(1, 1, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)))


class Result(Enum):
    SUCCESS = 0
    FAILURE = 1


class Scripted:
    """A double of an exporter: does as it is told."""

    def __init__(self) -> None:
        self.result = Result.SUCCESS
        self.held = threading.Event()
        self.held.set()
        self.got: list[Any] = []

    def export(self, batch: Any, /) -> Result:
        self.held.wait(20)
        self.got.append(batch)
        return self.result

    def shutdown(self) -> None:
        self.held.set()


def destination(exporter: Scripted, **more: Any) -> Destination:
    other = Scripted()
    return Destination("there", Exporters(exporter, other, other), every_seconds=0.01, **more)


async def test_trouble_is_said_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    exporter = Scripted()
    exporter.result = Result.FAILURE
    to = destination(exporter, why=lambda: "connection refused")
    with caplog.at_level(logging.INFO, logger="cludale_operations.telemetry"):
        for sent in range(5):
            to.spans.on_end(span())
            await until(lambda sent=sent: len(exporter.got) == sent + 1)  # type: ignore[misc]
        exporter.result = Result.SUCCESS
        to.spans.on_end(span())
        await until(lambda: len(exporter.got) == 6)
        to.close()
    assert [record.getMessage() for record in caplog.records] == [
        "there: traces can't be delivered and are dropped until they can: connection refused",
        "there: traces arrive again; 5 spans and log records were lost",
    ]


async def test_while_it_is_stuck_what_waits_is_bounded_and_the_rest_is_dropped_and_counted() -> None:
    exporter = Scripted()
    exporter.held.clear()
    to = destination(exporter, queue_limit=100)
    to.spans.on_end(span())
    await until(lambda: to.spans.queue.waiting == 0)
    more = [span() for _ in range(1_000)]
    began = time.perf_counter()
    for each in more:
        to.spans.on_end(each)
    assert time.perf_counter() - began < 10, "it waits for nobody: the exporter is held for 20 seconds"
    assert (to.spans.queue.waiting, to.dropped) == (100, 900)
    exporter.held.set()
    to.close()
    assert sum(len(batch) for batch in exporter.got) == 101


def test_a_stop_waits_for_so_long_and_no_longer() -> None:
    exporter = Scripted()
    exporter.held.clear()
    to = destination(exporter)
    to.spans.on_end(span())
    began = time.perf_counter()
    to.close(timeout_seconds=0.2)
    assert time.perf_counter() - began < 5


async def test_an_exporter_that_breaks_does_not_end_the_shipping() -> None:
    class Broken(Scripted):
        def export(self, batch: Any, /) -> Result:
            self.got.append(batch)
            if len(self.got) == 1:
                raise RuntimeError("broken")
            return Result.SUCCESS

    exporter = Broken()
    to = destination(exporter)
    for sent in range(2):
        to.spans.on_end(span())
        await until(lambda sent=sent: len(exporter.got) == sent + 1)  # type: ignore[misc]
    to.close()
    assert to.dropped == 1
