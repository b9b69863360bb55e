"""Telemetry, as far as the settings go."""

from pathlib import Path

import pytest
from tests.compose.platforms import running


@pytest.mark.parametrize(("protocol", "is_warned"), [("grpc", True), ("http/protobuf", False)])
async def test_a_protocol_that_is_not_spoken_to_the_collector_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, protocol: str, *, is_warned: bool
) -> None:
    async with running(tmp_path, otlp_endpoint="http://127.0.0.1:9", otlp_protocol=protocol):
        pass
    assert ("OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not spoken here" in caplog.text) == is_warned
