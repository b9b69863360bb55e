"""A collector, and a server that sends to it; both for all of these tests, which know their own traces."""

from collections.abc import Iterator

import pytest
from tests.operations.telemetry.receiver import Receiver, receiving
from tests.served import Served, serve


@pytest.fixture(scope="session")
def receiver() -> Iterator[Receiver]:
    with receiving() as each:
        yield each


@pytest.fixture(scope="session")
def watched(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The whole platform in one process, its telemetry on."""
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "CLUDALE_LOG_LEVEL": "info"}
    with serve(tmp_path_factory.mktemp("data"), settings=settings) as running:
        running.concert("the-concert", seats=10_000)
        yield running
