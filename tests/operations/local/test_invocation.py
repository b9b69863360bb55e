"""Calls from one service to another through two real sidecars, with the timeouts and retries of the component files."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import yaml  # type: ignore[import-untyped] # it has no types of its own
from tests.listening import listening
from tests.parts import need

from cludale_operations.local.daprd import COMPONENTS, Daprd
from cludale_operations.local.free_ports import free_port

AWAY_SECONDS = 2


class App:
    """Answers each call with the next of `statuses`, and with 200 once there are none."""

    def __init__(self, route: bytes) -> None:
        self.route = route
        self.port = free_port()
        self.calls = 0
        self.statuses: list[int] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            while await reader.readline() not in {b"\r\n", b""}:
                pass
            status = 200
            if line.split()[1].startswith(self.route):
                self.calls += 1
                status = self.statuses.pop(0) if self.statuses else 200
            writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 2\r\n\r\n[]" % status)


@pytest.fixture
def resources(tmp_path: Path) -> Path:
    """The retries and timeouts, without the components that need a broker."""
    need("daprd")
    folder = tmp_path / "resources"
    folder.mkdir()
    (folder / "resiliency.yaml").write_text((COMPONENTS / "common" / "resiliency.yaml").read_text())
    return folder


@pytest.fixture
async def concerts() -> AsyncIterator[App]:
    app = App(b"/concerts")
    async with listening(app.serve, app.port):
        yield app


async def until_reached(http: httpx.AsyncClient, path: str) -> None:
    """A sidecar lets calls through once it has seen for itself that its app is healthy."""
    for _ in range(100):
        if (await http.get(path)).status_code == 200:
            return
        await asyncio.sleep(0.1)


@asynccontextmanager
async def through_sidecars(app_id: str, app: App, resources: Path, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Asks the app as orders does: its own sidecar, which finds that of the app."""
    neighbours = folder / "neighbours.db"
    called = Daprd(app_id, folder, app_port=app.port, resources=[resources], neighbours=neighbours)
    calling = Daprd("orders", folder, resources=[resources], neighbours=neighbours)
    async with (
        called.running(),
        calling.running(),
        httpx.AsyncClient(base_url=calling.url, headers={"dapr-app-id": app_id}, timeout=20) as client,
    ):
        await until_reached(client, f"/{app_id}")
        yield client


@pytest.fixture
async def http(concerts: App, resources: Path, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with through_sidecars("concerts", concerts, resources, tmp_path) as client:
        concerts.calls = 0
        yield client


@pytest.fixture
async def payments() -> AsyncIterator[App]:
    app = App(b"/payments")
    async with listening(app.serve, app.port):
        yield app


async def test_refusals_are_ordinary_answers_however_many_come(concerts: App, http: httpx.AsyncClient) -> None:
    concerts.statuses = [409] * 60
    answers = [(await http.get("/concerts")).status_code for _ in range(61)]
    assert answers == [409] * 60 + [200]
    assert concerts.calls == 61


async def test_an_error_is_not_asked_for_again(concerts: App, http: httpx.AsyncClient) -> None:
    concerts.statuses = [500]
    assert (await http.get("/concerts")).status_code == 500
    assert concerts.calls == 1


async def test_who_was_turned_away_at_the_door_is_sent_again(concerts: App, http: httpx.AsyncClient) -> None:
    concerts.statuses = [503]
    assert (await http.get("/concerts")).status_code == 200
    assert concerts.calls == 2


async def test_calls_stay_away_from_a_payments_that_fails_and_come_back(
    payments: App, resources: Path, tmp_path: Path
) -> None:
    file = resources / "resiliency.yaml"
    policies = yaml.safe_load(file.read_text())
    breaker = policies["spec"]["policies"]["circuitBreakers"]["payments"]
    assert breaker["trip"] == "consecutiveFailures >= 10"
    breaker["timeout"] = f"{AWAY_SECONDS}s"  # 10 s in the file
    file.write_text(yaml.safe_dump(policies))
    async with through_sidecars("payments", payments, resources, tmp_path) as http:
        payments.calls, payments.statuses = 0, [500] * 10
        began = time.monotonic()
        answers = [(await http.get("/payments")).status_code for _ in range(10)]
        assert (payments.calls, answers) == (10, [500] * 10)
        refused = await http.get("/payments")
        assert "circuit breaker is open" in refused.text
        assert payments.calls == 10, "a call got through"
        while (await http.get("/payments")).status_code != 200:
            assert time.monotonic() - began < 30
            await asyncio.sleep(0.05)
        assert time.monotonic() - began >= AWAY_SECONDS
