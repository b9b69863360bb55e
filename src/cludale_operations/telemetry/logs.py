"""The log as JSON: one object a line, with the trace that it belongs to. Stands alone: no exporter is needed."""

import logging
from datetime import UTC, datetime

import msgspec

from cludale.ports.tracing import TRACEPARENT

_encode = msgspec.json.Encoder().encode


class JsonLines(logging.Formatter):
    """`{"time", "level", "logger", "message", "traceId"?, "spanId"?, "exception"?}`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        _, _, rest = (TRACEPARENT.get() or "").partition("-")
        trace_id, _, rest = rest.partition("-")
        if trace_id:
            line["traceId"], line["spanId"] = trace_id, rest.partition("-")[0]
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _encode(line).decode()
