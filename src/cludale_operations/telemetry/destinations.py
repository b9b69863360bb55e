"""Destinations: an OTLP collector, Application Insights. The only module that names their exporters."""

import logging
import os

from cludale_operations.telemetry.shipping import Destination, Exporters
from cludale_operations.telemetry.trouble import NoTelemetry, not_installed

EXPORT_SECONDS = 10.0
"""What one export may take, its retries included."""


class LastWords(logging.Handler):
    """Keeps what an exporter says instead of letting it say it every few seconds: `Destination` says it once."""

    def __init__(self, *loggers: str) -> None:
        super().__init__(logging.WARNING)
        self.last = ""
        for name in loggers:
            logger = logging.getLogger(name)
            logger.addHandler(self)
            logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.last = record.getMessage()[:500]

    def __call__(self) -> str:
        """What it was."""
        return self.last or "the log of the exporter says nothing"


def otlp(endpoint: str) -> Destination:
    """An OTLP collector over HTTP; the exporters' own variables (`OTEL_EXPORTER_OTLP_HEADERS`, …) count as well.

    Raises NoTelemetry.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415 - an extra
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        from cludale_operations.telemetry.redirects import DirectSession  # noqa: PLC0415
    except ImportError as missing:
        raise not_installed("OTEL_EXPORTER_OTLP_ENDPOINT", "distributed", missing) from missing
    base = endpoint.rstrip("/")
    exporters = Exporters(
        OTLPSpanExporter(f"{base}/v1/traces", timeout=EXPORT_SECONDS, session=DirectSession()),
        OTLPLogExporter(f"{base}/v1/logs", timeout=EXPORT_SECONDS, session=DirectSession()),
        OTLPMetricExporter(f"{base}/v1/metrics", timeout=EXPORT_SECONDS, session=DirectSession()),
    )
    return Destination(f"OTLP to {endpoint}", exporters, why=LastWords("opentelemetry"))


def application_insights(connection_string: str) -> Destination:
    """An Application Insights resource. What can't be delivered is dropped, never written to the disk.

    Raises NoTelemetry.
    """
    # The exporter's own reports to its makers, and settings that it would fetch from them: no part of telemetry.
    os.environ.setdefault("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
    os.environ.setdefault("APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED", "true")
    os.environ.setdefault("APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED", "true")
    try:
        from azure.monitor.opentelemetry.exporter import (  # noqa: PLC0415 - an extra
            AzureMonitorLogExporter,
            AzureMonitorMetricExporter,
            AzureMonitorTraceExporter,
        )
    except ImportError as missing:
        raise not_installed("APPLICATIONINSIGHTS_CONNECTION_STRING", "azure", missing) from missing
    try:
        exporters = Exporters(
            *(
                kind(
                    connection_string=connection_string,
                    disable_offline_storage=True,
                    timeout=EXPORT_SECONDS,
                    retry_total=1,
                )
                for kind in (AzureMonitorTraceExporter, AzureMonitorLogExporter, AzureMonitorMetricExporter)
            )
        )
    except ValueError as error:
        raise NoTelemetry(f"APPLICATIONINSIGHTS_CONNECTION_STRING can't be used: {error}") from error
    return Destination("Application Insights", exporters, why=LastWords("azure"))
