"""The servers of one machine speak TLS with whoever knows their certificate, and nothing else with anybody."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from tests.parts import need, started

from cludale.adapters.broker_monitors.nats import NatsMonitor
from cludale.adapters.broker_monitors.rabbitmq import RabbitMqMonitor
from cludale.ports.broker_monitor import NotKnown
from cludale.services import NAMES
from cludale_operations.backup import database
from cludale_operations.backup.folder import CannotCopy
from cludale_operations.local.certificate import make_certificate
from cludale_operations.local.jetstream import BrokerRefused, ensure_streams, jetstream
from cludale_operations.local.nats import Nats
from cludale_operations.local.postgres import Postgres
from cludale_operations.local.rabbitmq import RabbitMq

WAITING_FOR_ORDERS = ["orders-concert-events"]


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Postgres]:
    need("postgres")
    yield from started(Postgres(tmp_path / "postgres", tls=True))


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Nats]:
    need("nats-server")
    yield from started(Nats(tmp_path / "nats", tls=True))


@pytest.fixture
def another(tmp_path: Path) -> Path:
    """The certificate of somebody else at the same address."""
    (tmp_path / "another").mkdir()
    return make_certificate(tmp_path / "another", "another").certificate


def trusting(url: str, certificate: Path) -> str:
    """The same address, with another certificate to be trusted."""
    name = "sslrootcert" if url.startswith("postgresql:") else "cacertfile"
    return f"{url.partition(f'{name}=')[0]}{name}={certificate}"


async def is_encrypted(url: str) -> str:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        version: str = await connection.fetchval("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    finally:
        await connection.close()
    return version


async def test_postgresql_lets_nobody_in_without_tls(postgres: Postgres, another: Path) -> None:
    assert await is_encrypted(postgres.url) == "TLSv1.3"
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
        await is_encrypted(f"{postgres.url.partition('?')[0]}?sslmode=disable")
    with pytest.raises(ssl.SSLCertVerificationError):
        await is_encrypted(trusting(postgres.url, another))
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for 'localhost'"):
        await is_encrypted(postgres.url.replace("127.0.0.1", "localhost"))


async def test_a_server_that_is_started_again_has_the_certificate_that_is_trusted(postgres: Postgres) -> None:
    url = postgres.url
    await postgres.kill()
    await postgres.start()
    assert await is_encrypted(url) == "TLSv1.3"


def test_a_backup_is_made_over_tls(postgres: Postgres, another: Path, tmp_path: Path) -> None:
    assert database.dump(postgres.url, tmp_path, lambda *_: None).stat().st_size > 0
    with pytest.raises(CannotCopy, match="certificate verify failed"):
        database.dump(trusting(postgres.url, another), tmp_path, lambda *_: None)


async def test_nats_lets_nobody_in_without_tls_at_its_monitoring_neither(nats: Nats, another: Path) -> None:
    await ensure_streams(nats.url, NAMES)
    assert await counted(NatsMonitor(nats.monitoring_url, WAITING_FOR_ORDERS)) == 0
    for url in (f"nats{nats.url.removeprefix('tls').partition('?')[0]}", trusting(nats.url, another)):
        with pytest.raises(BrokerRefused, match="certificate verify failed"):
            async with jetstream(url):
                pass
    for url in (f"http{nats.http_url.removeprefix('https')}", trusting(nats.monitoring_url, another)):
        with pytest.raises(NotKnown):
            await counted(NatsMonitor(url, WAITING_FOR_ORDERS))


async def counted(monitor: NatsMonitor | RabbitMqMonitor) -> int | None:
    try:
        return await monitor.waiting()
    finally:
        await monitor.close()


@pytest.mark.slow
async def test_rabbitmq_lets_nobody_in_without_tls_at_its_management_neither(tmp_path: Path, another: Path) -> None:
    need("rabbitmq-server")
    async with RabbitMq(tmp_path / "rabbitmq", tls=True).running() as server:
        assert urlsplit(server.url).scheme == "amqps"
        assert await counted(RabbitMqMonitor(server.management_url, WAITING_FOR_ORDERS)) == 0
        for url in (
            server.management_url.replace("https", "http").partition("?")[0],
            trusting(server.management_url, another),
        ):
            with pytest.raises(NotKnown):
                await counted(RabbitMqMonitor(url, WAITING_FOR_ORDERS))
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plain:
            plain.sendall(b"AMQP\x00\x00\x09\x01")
            plain.settimeout(10)
            assert not plain.recv(1).startswith(b"\x01"), "no frame of AMQP's"


def test_each_start_has_a_certificate_of_its_own_whose_key_is_its_owners(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "here")
    assert made.key.stat().st_mode & 0o077 == 0
    before = made.certificate.read_bytes()
    assert make_certificate(tmp_path, "here").certificate.read_bytes() != before


async def test_what_is_older_than_tls_1_3_is_not_spoken_inside(nats: Nats) -> None:
    context = ssl.create_default_context(cafile=str(nats.folder / "server.crt"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection("127.0.0.1", nats.monitoring_port, ssl=context)
