"""Shipping: finished spans, log records and metrics on their way out, on threads of their own.

OpenTelemetry's SDK makes the batches. A destination that is slow or away never holds up a sale: what waits is bounded,
what does not fit is dropped and counted, and the trouble is said once, and once more when it is over.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from opentelemetry.sdk._logs import ReadWriteLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor

QUEUE_LIMIT = 16_384
BATCH_LIMIT = 512
EVERY_SECONDS = 2.0
CLOSE_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Exporter(Protocol):
    """An exporter of OpenTelemetry's, whatever it exports. Its result's name is SUCCESS when all is well."""

    def export(self, batch: Any, /) -> Any:
        """Send it; blocks, with a timeout of its own."""
        ...

    def shutdown(self) -> None:
        """Give up what it is trying."""
        ...


class Exporters(NamedTuple):
    """The three exporters of one destination."""

    spans: Exporter
    logs: Exporter
    metrics: Exporter


class Queue:
    """What waits for one exporter. Counted here: the SDK's processors drop what is too much and count it nowhere.

    For the processor it is the exporter.
    """

    def __init__(self, destination: "Destination", what: str, exporter: Exporter) -> None:
        self._destination, self._what, self._exporter = destination, what, exporter
        self._accepted = self._taken = 0
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many wait to be sent."""
        return self._accepted - self._taken

    def has_room(self) -> bool:
        """May one more wait? If not, it is dropped."""
        with self._lock:
            if self.waiting >= self._destination.queue_limit:
                self._destination.dropped += 1
                return False
            self._accepted += 1
            return True

    def export(self, batch: Sequence[Any]) -> None:
        """Send a batch; blocks."""
        self._taken += len(batch)
        if not self._destination.send(self._what, self._exporter, batch):
            with self._lock:
                self._destination.dropped += len(batch)

    def shutdown(self) -> None:
        """Nothing; the destination gives the exporter up."""


class Spans(BatchSpanProcessor):
    """The spans that go to one destination."""

    def __init__(self, queue: Queue, limits: Mapping[str, Any]) -> None:
        super().__init__(queue, **limits)  # type: ignore[arg-type] # an exporter without what nobody calls
        self.queue = queue

    def on_end(self, span: ReadableSpan) -> None:
        """Send a finished span along, if it is sampled."""
        if span.context is not None and span.context.trace_flags.sampled and self.queue.has_room():
            super().on_end(span)


class Logs(BatchLogRecordProcessor):
    """The log records that go to one destination."""

    def __init__(self, queue: Queue, limits: Mapping[str, Any]) -> None:
        super().__init__(queue, **limits)  # type: ignore[arg-type] # the same
        self.queue = queue

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Send a log record along."""
        if self.queue.has_room():
            super().on_emit(log_record)


class Destination:
    """One place that telemetry goes to. Everything but `close` may be called from any thread and returns at once."""

    def __init__(
        self,
        name: str,
        exporters: Exporters,
        *,
        why: Callable[[], str] = lambda: "",
        queue_limit: int = QUEUE_LIMIT,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        """`why` tells what an exporter said last of its trouble."""
        self.name = name
        self.queue_limit = queue_limit
        self.dropped = 0
        """Spans and log records that never arrived."""
        self._exporters = exporters
        self._why = why
        self._failing: set[str] = set()
        self._sending: threading.Thread | None = None
        limits = {
            "max_queue_size": queue_limit,
            "schedule_delay_millis": every_seconds * 1_000,
            "max_export_batch_size": min(BATCH_LIMIT, queue_limit),
        }
        self.spans = Spans(Queue(self, "traces", exporters.spans), limits)
        self.logs = Logs(Queue(self, "logs", exporters.logs), limits)

    def put_metrics(self, metrics: MetricsData) -> None:
        """Send these, unless those before them are still on their way."""
        if self._sending is None or not self._sending.is_alive():
            self._sending = _begun(lambda: self.send("metrics", self._exporters.metrics, metrics))

    def close(self, timeout_seconds: float = CLOSE_SECONDS) -> None:
        """Send what waits, for so long at most."""
        until = time.monotonic() + timeout_seconds
        for each in [_begun(self.spans.shutdown), _begun(self.logs.shutdown), self._sending]:
            if each is not None:
                each.join(max(0.0, until - time.monotonic()))
        for exporter in self._exporters:
            exporter.shutdown()

    def send(self, what: str, exporter: Exporter, batch: Sequence[Any] | MetricsData) -> bool:
        """Export it now, and say what is new about that; blocks. Did it arrive?"""
        try:
            ok = bool(exporter.export(batch).name == "SUCCESS")
            why = self._why()
        except Exception as error:  # noqa: BLE001 - whatever an exporter does, the others and the sale go on
            ok, why = False, repr(error)
        if ok and what in self._failing:
            self._failing.discard(what)
            _log.warning("%s: %s arrive again; %d spans and log records were lost", self.name, what, self.dropped)
        elif not ok and what not in self._failing:
            self._failing.add(what)
            _log.warning("%s: %s can't be delivered and are dropped until they can: %s", self.name, what, why)
        return ok


def _begun(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, name="telemetry", daemon=True)
    thread.start()
    return thread
