"""The log as JSON."""

import json
import logging
import sys

from cludale.ports.tracing import TRACEPARENT
from cludale_operations.telemetry.logs import JsonLines


def line(**more: object) -> dict[str, object]:
    record = logging.LogRecord("cludale.relay", logging.WARNING, "relay.py", 7, "%d events wait", (3,), None)
    vars(record).update(more)
    text = JsonLines().format(record)
    assert "\n" not in text
    read: dict[str, object] = json.loads(text)
    return read


def test_a_line_is_one_object() -> None:
    read = line()
    assert str(read.pop("time")).endswith("+00:00")
    assert read == {"level": "warning", "logger": "cludale.relay", "message": "3 events wait"}


def test_a_line_names_the_trace_at_hand() -> None:
    token = TRACEPARENT.set("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    try:
        read = line()
    finally:
        TRACEPARENT.reset(token)
    assert (read["traceId"], read["spanId"]) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")


def test_an_exception_is_part_of_its_line() -> None:
    try:
        int("too late")
    except ValueError:
        read = line(exc_info=sys.exc_info())
    assert "ValueError: invalid literal" in str(read["exception"])
