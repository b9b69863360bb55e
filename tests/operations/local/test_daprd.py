"""The real sidecar over the component files of this project."""

import json
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
from tests.parts import complete, need

from cludale.services import NAMES
from cludale.wiring.stores import STATE_STORE_USERS
from cludale_operations.local.daprd import Broker, Daprd, resources_for
from cludale_operations.local.jetstream import STREAM, jetstream
from cludale_operations.local.nats import Nats
from cludale_operations.local.postgres import Postgres

Start = Callable[[str], AbstractAsyncContextManager[Daprd]]
EVENT = {"specversion": "1.0", "id": "e-1", "type": "OrderPlaced", "source": "orders", "data": {}}


@pytest.fixture
def start(nats: Nats, postgres_server: Postgres, tmp_path: Path) -> Start:
    need("daprd")
    secrets = {
        "broker-url": nats.url,
        "state-url": postgres_server.url,
        "organizer-key": "the key",
        "UNRELATED": "nobody's business",
    }
    return lambda app: Daprd(
        app, tmp_path / app, resources=resources_for(Broker.NATS), secrets=secrets, api_token="a-token"
    ).running()


def client(sidecar: Daprd) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=sidecar.url, headers={"dapr-api-token": "a-token"}, timeout=10)


@pytest.mark.parametrize("app", NAMES)
async def test_each_service_gets_the_components_of_its_scope(start: Start, app: str) -> None:
    async with start(app) as sidecar, client(sidecar) as http:
        answer = await http.get("/v1.0/metadata")
    names = {component["name"] for component in answer.json()["components"]}
    assert {"secrets", "events", "dead-letters"} <= names
    assert ("state" in names) == (app in STATE_STORE_USERS)
    assert ("notification-events" in names) == (app == "audit")


async def test_a_published_event_is_kept_for_each_service_that_hears_its_topic(start: Start, nats: Nats) -> None:
    async with start("orders") as sidecar, client(sidecar) as http:
        for _ in range(2):
            answer = await http.post(
                "/v1.0/publish/events/order-events",
                json=EVENT,
                headers={"content-type": "application/cloudevents+json"},
            )
            assert answer.status_code == 204
    async with jetstream(nats.url) as broker:
        stream = await broker.stream_info(STREAM)
        assert stream.state.messages == 1, "the broker knows the second publish of one event by its id"
        waiting = {
            name: (await broker.consumer_info(STREAM, name)).num_pending
            for name in ("payments-order-events", "audit-order-events", "orders-payment-events")
        }
    assert waiting == {"payments-order-events": 1, "audit-order-events": 1, "orders-payment-events": 0}


@pytest.mark.parametrize(
    ("endpoint", "address", "is_secure"),
    [
        ("http://127.0.0.1:4318", "127.0.0.1:4318", False),
        ("http://collector:4318/", "collector:4318", False),
        ("https://otlp.example/v1/otlp", "otlp.example:443", True),
        ("https://user:word@otlp.example:8443", "otlp.example:8443", True),
        ("http://[::1]:4318/otlp", "[::1]:4318", False),
        ("http://collector", "collector:80", False),
    ],
)
def test_a_sidecar_is_told_host_and_port_of_the_collector(
    tmp_path: Path, endpoint: str, address: str, is_secure: bool
) -> None:
    sidecar = Daprd("orders", tmp_path, otlp_endpoint=endpoint)
    complete(sidecar.prepare())
    (written,) = tmp_path.glob("*.json")
    otel = json.loads(written.read_text())["spec"]["tracing"]["otel"]
    assert (otel["endpointAddress"], otel["isSecure"]) == (address, is_secure)


async def test_without_the_token_nothing_is_done(start: Start) -> None:
    async with start("orders") as sidecar, httpx.AsyncClient(base_url=sidecar.url) as http:
        answer = await http.post("/v1.0/publish/events/order-events", json=EVENT)
    assert answer.status_code == 401


async def test_an_app_reads_its_secrets_and_nothing_else_of_the_environment(start: Start) -> None:
    async with start("concerts") as sidecar, client(sidecar) as http:
        key = await http.get("/v1.0/secrets/secrets/organizer-key")
        other = await http.get("/v1.0/secrets/secrets/UNRELATED")
    assert key.json() == {"organizer-key": "the key"}
    assert other.status_code == 403


async def test_audit_keeps_state_with_etags(start: Start) -> None:
    async with start("audit") as sidecar, client(sidecar) as http:
        key = f"test-{time.time_ns()}"
        await http.post("/v1.0/state/state", json=[{"key": key, "value": 1}])
        first = await http.get(f"/v1.0/state/state/{key}")
        change = {"key": key, "value": 2, "etag": first.headers["etag"], "options": {"concurrency": "first-write"}}
        assert (await http.post("/v1.0/state/state", json=[change])).status_code == 204
        assert (await http.post("/v1.0/state/state", json=[change])).status_code == 409


async def test_a_sidecar_listens_on_loopback_only(start: Start) -> None:
    async with start("payments") as sidecar:
        ports = {sidecar.http_port, sidecar.grpc_port, sidecar.internal_port}
        assert _listening(everywhere=False) >= ports
        assert not _listening(everywhere=True) & ports


def _listening(*, everywhere: bool) -> set[int]:
    """The ports that this machine listens on, on loopback or on all addresses."""
    rows = [line.split() for file in ("tcp", "tcp6") for line in Path("/proc/net", file).read_text().splitlines()[1:]]
    ports: dict[bool, set[int]] = {True: set(), False: set()}
    for row in rows:
        address, _, port = row[1].partition(":")
        if row[3] == "0A":
            ports[set(address) == {"0"}].add(int(port, 16))
    return ports[everywhere]


async def test_an_event_that_is_buried_soon_after_it_was_published_is_kept(start: Start, nats: Nats) -> None:
    async with start("orders") as sidecar, client(sidecar) as http:
        for topic in ("payment-events", "orders-dead-letters", "audit-dead-letters"):
            await http.post(
                f"/v1.0/publish/events/{topic}", json=EVENT, headers={"content-type": "application/cloudevents+json"}
            )
    async with jetstream(nats.url) as broker:
        for app in ("orders", "audit"):
            stream = await broker.stream_info(f"{app}-dead-letters")
            assert stream.state.messages == 1
