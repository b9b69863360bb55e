"""A sidecar and its app talk over TLS, each with whom it knows by the very certificate, and with nobody else."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tests.listening import listening
from tests.operations.local.test_invocation import App, until_reached
from tests.parts import need

from cludale.adapters.dapr.sidecar import Sidecar
from cludale.web.trust import shown
from cludale_operations.local.certificate import Certificate, make_certificate
from cludale_operations.local.daprd import Daprd

Make = Callable[[str], Certificate]


@pytest.fixture
def certificate(tmp_path: Path) -> Make:
    def make(name: str) -> Certificate:
        folder = tmp_path / name
        folder.mkdir()
        return make_certificate(folder, name)

    return make


@asynccontextmanager
async def sidecar_of(folder: Path, app: App, *, shows: Certificate, knows: Certificate) -> AsyncIterator[Daprd]:
    """A sidecar that knows its app by one certificate, before an app that shows one."""
    need("daprd")
    sidecar = Daprd("concerts", folder, app_port=app.port, app_certificate=knows.certificate)
    async with listening(app.serve, app.port, tls=shown(shows.certificate)), sidecar.running():
        yield sidecar


async def test_a_sidecar_calls_its_app_over_tls(tmp_path: Path, certificate: Make) -> None:
    own, app = certificate("app"), App(b"/concerts")
    async with (
        sidecar_of(tmp_path, app, shows=own, knows=own) as sidecar,
        httpx.AsyncClient(base_url=sidecar.url, headers={"dapr-app-id": "concerts"}) as http,
    ):
        await until_reached(http, "/concerts")
        assert (await http.get("/concerts")).json() == []


async def test_it_says_nothing_to_who_shows_another_certificate(tmp_path: Path, certificate: Make) -> None:
    app = App(b"/")
    async with (
        sidecar_of(tmp_path, app, shows=certificate("another"), knows=certificate("app")) as sidecar,
        httpx.AsyncClient(base_url=sidecar.url, headers={"dapr-app-id": "concerts"}) as http,
    ):
        for _ in range(3):
            assert (await http.get("/concerts")).status_code >= 500
    assert app.calls == 0


async def test_its_api_is_served_over_tls_and_in_no_other_way(tmp_path: Path, certificate: Make) -> None:
    need("daprd")
    own = certificate("own")
    async with Daprd("orders", tmp_path, certificate=own).running() as sidecar:
        known = ssl.create_default_context(cafile=own.certificate)
        asked = Sidecar(sidecar.port, None, trust=known)
        assert await asked.is_healthy()
        await asked.close()
        async with httpx.AsyncClient() as http:
            with pytest.raises(httpx.TransportError):
                await http.get(f"http://127.0.0.1:{sidecar.http_port}/v1.0/healthz/outbound")
            with pytest.raises(httpx.ConnectError):  # the gRPC API is at no port
                await http.get(f"http://127.0.0.1:{sidecar.grpc_port}/")
        mistaken = Sidecar(sidecar.port, None, trust=ssl.create_default_context(cafile=certificate("b").certificate))
        assert not await mistaken.is_healthy()
        await mistaken.close()
        sockets = list((tmp_path / sidecar.name).iterdir())
        assert len(sockets) == 2
        assert (tmp_path / sidecar.name).stat().st_mode & 0o077 == 0


async def test_one_that_was_killed_is_started_again_over_what_it_left(tmp_path: Path, certificate: Make) -> None:
    need("daprd")
    sidecar = Daprd("orders", tmp_path, certificate=certificate("own"))
    await sidecar.start()
    await sidecar.kill()
    async with sidecar.running():
        assert await sidecar.is_ready()
