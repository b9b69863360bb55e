"""Sidecars that call each other know each other by certificates, and let nobody else in."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from tests.listening import listening
from tests.operations.local.test_invocation import App, until_reached
from tests.parts import need

from cludale_operations.local.daprd import Daprd
from cludale_operations.local.part import PartFailed
from cludale_operations.local.sentry import Sentry


@pytest.fixture
async def sentry(tmp_path: Path) -> AsyncIterator[Sentry]:
    need("daprd")
    async with Sentry(tmp_path / "sentry", ["orders", "concerts"]).running() as running:
        yield running


@pytest.fixture
async def concerts(sentry: Sentry, tmp_path: Path) -> AsyncIterator[Daprd]:
    app = App(b"/concerts")
    sidecar = Daprd("concerts", tmp_path, app_port=app.port, sentry=sentry)
    async with listening(app.serve, app.port), sidecar.running():
        yield sidecar


@asynccontextmanager
async def calling(sidecar: Daprd, *, seconds: float = 5) -> AsyncIterator[httpx.AsyncClient]:
    """Asks concerts through this one."""
    async with (
        sidecar.running(),
        httpx.AsyncClient(base_url=sidecar.url, headers={"dapr-app-id": "concerts"}, timeout=seconds) as client,
    ):
        yield client


async def test_one_calls_another_by_mutual_tls(concerts: Daprd, sentry: Sentry, tmp_path: Path) -> None:
    async with calling(Daprd("orders", tmp_path, sentry=sentry)) as client:
        await until_reached(client, "/concerts")
        assert (await client.get("/concerts")).status_code == 200
    context = ssl.create_default_context(cadata=sentry.trust_anchors)
    context.check_hostname = False  # it is named by a SPIFFE id
    context.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection("127.0.0.1", concerts.internal_port, ssl=context)
    known = writer.get_extra_info("peercert")
    assert ("URI", "spiffe://public/ns/default/concerts") in known["subjectAltName"]
    with pytest.raises((ssl.SSLError, ConnectionError)):  # who shows no certificate is sent away
        await reader.readexactly(1)
    writer.close()


async def test_who_has_no_certificate_gets_no_answer(concerts: Daprd, tmp_path: Path) -> None:
    async with calling(Daprd("orders", tmp_path), seconds=30) as client:
        answer = await client.get("/concerts")
    assert answer.status_code == 500
    assert "error reading server preface" in answer.text


async def test_none_gets_the_certificate_of_another(sentry: Sentry, tmp_path: Path) -> None:
    orders = Daprd("orders", tmp_path, sentry=sentry)
    sentry.token_of("orders").write_text(sentry.token_of("concerts").read_text())
    with pytest.raises(PartFailed, match="token"):
        await orders.start()
    assert {path.stat().st_mode & 0o077 for path in sentry.folder.glob("*.token")} == {0}


async def test_sidecars_go_on_while_sentry_is_away(concerts: Daprd, sentry: Sentry, tmp_path: Path) -> None:
    async with calling(Daprd("orders", tmp_path, sentry=sentry)) as client:
        await until_reached(client, "/concerts")
        trusted = sentry.trust_anchors
        await sentry.kill()
        assert (await client.get("/concerts")).status_code == 200
        await sentry.start()
        assert sentry.trust_anchors == trusted
