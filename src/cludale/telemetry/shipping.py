"""Shipping: finished spans, log records and metrics on their way out, on a thread of their own.

A destination that is slow or away never holds up a sale: what waits is bounded, what does not fit is dropped and
counted, and the trouble is said once, and once more when it is over.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import MetricsData
from opentelemetry.sdk.trace import ReadableSpan

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
        self.dropped = 0
        """Spans and log records that never arrived."""
        self._exporters = exporters
        self._why = why
        self._queue_limit = queue_limit
        self._every_seconds = every_seconds
        self._spans: deque[ReadableSpan] = deque()
        self._logs: deque[ReadableLogRecord] = deque()
        self._metrics: deque[MetricsData] = deque(maxlen=1)
        self._failing: set[str] = set()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"telemetry to {name}", daemon=True)
        self._thread.start()

    def add_span(self, span: ReadableSpan) -> None:
        """Send a finished span along."""
        self._add(self._spans, span)

    def add_log(self, record: ReadableLogRecord) -> None:
        """Send a log record along."""
        self._add(self._logs, record)

    def put_metrics(self, metrics: MetricsData) -> None:
        """Send these; those before that have not gone yet are old news."""
        self._metrics.append(metrics)
        self._wake.set()

    def _add(self, queue: "deque[Any]", item: Any) -> None:
        if len(queue) >= self._queue_limit:
            self.dropped += 1
            return
        queue.append(item)
        if len(queue) == BATCH_LIMIT:
            self._wake.set()

    def close(self, timeout_seconds: float = CLOSE_SECONDS) -> None:
        """Send what waits, for so long at most."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout_seconds)
        for exporter in self._exporters:
            exporter.shutdown()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(self._every_seconds)
            self._wake.clear()
            self._ship()
        self._ship()

    def _ship(self) -> None:
        for what, queue, exporter in (
            ("traces", self._spans, self._exporters.spans),
            ("logs", self._logs, self._exporters.logs),
        ):
            while queue:
                batch: list[Any] = [queue.popleft() for _ in range(min(len(queue), BATCH_LIMIT))]
                if not self._export(what, exporter, batch):
                    self.dropped += len(batch)
        while self._metrics:
            self._export("metrics", self._exporters.metrics, self._metrics.popleft())

    def _export(self, what: str, exporter: Exporter, batch: Sequence[Any] | MetricsData) -> bool:
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
