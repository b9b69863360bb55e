"""Log records on their way out: what the log says, as OpenTelemetry's exporters want it."""

import logging
import traceback
from collections.abc import Callable
from time import time_ns

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import TraceFlags
from opentelemetry.util.types import AnyValue

from cludale.ports.tracing import TRACEPARENT
from cludale.telemetry.spans import parsed

_SEVERITY = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}
_BODY_LIMIT = 32_768
SILENT = ("opentelemetry", "azure", "urllib3", "requests", "cludale.telemetry", "httpx", "httpcore")
"""What these say of sending telemetry is not sent as telemetry."""


class LogRecords(logging.Handler):
    """Hands every record on, with the trace at hand. Set on the root logger."""

    def __init__(self, resource: Resource, send: Callable[[ReadableLogRecord], None]) -> None:
        super().__init__()
        self._resource = resource
        self._send = send
        self.addFilter(lambda record: not record.name.startswith(SILENT))

    def emit(self, record: logging.LogRecord) -> None:
        """Hand it on."""
        try:
            self._send(self._readable(record))
        except Exception:  # noqa: BLE001 - logging's own convention
            self.handleError(record)

    def _readable(self, record: logging.LogRecord) -> ReadableLogRecord:
        attributes: dict[str, AnyValue] = {"code.function.name": record.funcName, "code.line.number": record.lineno}
        if record.exc_info and record.exc_info[0] is not None:
            attributes["exception.type"] = record.exc_info[0].__name__
            attributes["exception.message"] = str(record.exc_info[1])[:1_024]
            attributes["exception.stacktrace"] = "".join(traceback.format_exception(*record.exc_info))[:_BODY_LIMIT]
        out = LogRecord(
            timestamp=int(record.created * 1e9),
            observed_timestamp=time_ns(),
            severity_text=record.levelname,
            severity_number=_SEVERITY.get(record.levelno, SeverityNumber.INFO),
            body=record.getMessage()[:_BODY_LIMIT],
            attributes=attributes,
        )
        at = parsed(TRACEPARENT.get())
        if at is not None:
            out.trace_id, out.span_id = at.trace_id, at.span_id
            out.trace_flags = TraceFlags(TraceFlags.SAMPLED if at.sampled else TraceFlags.DEFAULT)
        return ReadableLogRecord(out, self._resource, InstrumentationScope(record.name))
