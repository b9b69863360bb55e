"""Telemetry, if there is anywhere to send it."""

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

from cludale import __version__
from cludale.services import NAMES
from cludale.wiring.settings import OTLP_PROTOCOL, Settings
from cludale_operations.telemetry.trouble import not_installed

if TYPE_CHECKING:
    from cludale_operations.telemetry.switch import Telemetry

_log = logging.getLogger(__name__)


def telemetry_of(settings: Settings, only: Collection[str]) -> "Telemetry | None":
    """Telemetry, if there is anywhere to send it. Raises NoTelemetry."""
    if settings.otlp_endpoint is None and settings.application_insights is None:
        return None
    if settings.otlp_endpoint is not None and settings.otlp_protocol != OTLP_PROTOCOL:
        _log.warning(
            "OTEL_EXPORTER_OTLP_PROTOCOL=%s is not supported: %s gets OTLP over HTTP (%s), which a collector usually "
            "takes at port 4318",
            settings.otlp_protocol,
            settings.otlp_endpoint,
            OTLP_PROTOCOL,
        )
    try:
        from cludale_operations.telemetry.switch import Telemetry  # noqa: PLC0415 - an extra, and slow to load
    except ImportError as missing:
        variable, extra = (
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "distributed")
            if settings.otlp_endpoint is not None
            else ("APPLICATIONINSIGHTS_CONNECTION_STRING", "azure")
        )
        raise not_installed(variable, extra, missing) from missing
    return Telemetry(
        [each for each in NAMES if each in only],
        version=__version__,
        otlp_endpoint=settings.otlp_endpoint,
        connection_string=settings.application_insights,
    )
