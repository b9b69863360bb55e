"""A broker that has given events up: a DOUBLE of Azure Service Bus (tests/operations/dead_letters/service_bus.py)."""

import pytest
from tests.operations.dead_letters.service_bus import Namespace

from cludale.services import NAMES


@pytest.fixture
def namespace(monkeypatch: pytest.MonkeyPatch) -> Namespace:
    """An empty one, which the command line opens as cludale-test."""
    namespace = Namespace(list(NAMES))

    def client(host: str, _: object) -> object:
        assert host == "cludale-test.servicebus.windows.net"
        return namespace.client()

    monkeypatch.setattr("azure.servicebus.ServiceBusClient", client)
    monkeypatch.setenv("CLUDALE_SERVICE_BUS", "cludale-test")
    return namespace
