"""What the settings ask of telemetry."""

from pathlib import Path

import pytest

from cludale.services import NAMES
from cludale.wiring.settings import Settings
from cludale_operations.telemetry.turning_on import telemetry_of


@pytest.mark.parametrize(("protocol", "is_warned"), [("grpc", True), ("http/protobuf", False)])
async def test_a_protocol_that_is_not_spoken_to_the_collector_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, protocol: str, *, is_warned: bool
) -> None:
    settings = Settings(data_dir=tmp_path, otlp_endpoint="http://127.0.0.1:9", otlp_protocol=protocol)
    telemetry = telemetry_of(settings, NAMES)
    assert telemetry is not None
    await telemetry.stop()
    assert ("OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not supported" in caplog.text) == is_warned
