"""Log records on their way out: what the log says, as OpenTelemetry's exporters want it."""

import logging
import traceback
from collections.abc import Collection
from time import time_ns

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.util.types import AnyValue

from cludale.ports.tracing import TRACEPARENT
from cludale_operations.telemetry.spans import context_of

_SEVERITY = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}
_BODY_LIMIT = 32_768
SILENT = ("opentelemetry", "azure", "urllib3", "requests", "cludale_operations.telemetry", "httpx", "httpcore")
"""What these say of sending telemetry is not sent as telemetry."""


class LogRecords(logging.Handler):
    """Hands every record on, with the trace at hand. Set on the root logger.

    Our own because the SDK's handler takes the trace from OpenTelemetry's context, which the services don't know, and
    is deprecated.
    """

    def __init__(self, resource: Resource, processors: Collection[LogRecordProcessor]) -> None:
        super().__init__()
        self._provider = LoggerProvider(resource, shutdown_on_exit=False)
        for each in processors:
            self._provider.add_log_record_processor(each)
        self.addFilter(lambda record: not record.name.startswith(SILENT))

    def emit(self, record: logging.LogRecord) -> None:
        """Hand it on."""
        try:
            self._provider.get_logger(record.name).emit(_read(record))
        except Exception:  # noqa: BLE001 - logging's own convention
            self.handleError(record)


def _read(record: logging.LogRecord) -> LogRecord:
    attributes: dict[str, AnyValue] = {"code.function.name": record.funcName, "code.line.number": record.lineno}
    if record.exc_info and record.exc_info[0] is not None:
        attributes["exception.type"] = record.exc_info[0].__name__
        attributes["exception.message"] = str(record.exc_info[1])[:1_024]
        attributes["exception.stacktrace"] = "".join(traceback.format_exception(*record.exc_info))[:_BODY_LIMIT]
    return LogRecord(
        timestamp=int(record.created * 1e9),
        observed_timestamp=time_ns(),
        context=context_of(TRACEPARENT.get()),
        severity_text=record.levelname,
        severity_number=_SEVERITY.get(record.levelno, SeverityNumber.INFO),
        body=record.getMessage()[:_BODY_LIMIT],
        attributes=attributes,
    )
