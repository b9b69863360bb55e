"""The real parts of the distributed shape, for tests: PostgreSQL, NATS, … on loopback, in temporary folders.

A part that is not on this machine leaves its tests out, and the end of the run says so; in CI they fail instead.
"""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest

from cludale.compose.roster import SERVICES
from cludale.local.find import MissingProgram, find
from cludale.local.jetstream import Requests, ensure_streams
from cludale.local.nats import Nats
from cludale.local.part import Part
from cludale.local.postgres import Postgres
from cludale.local.rabbitmq import RabbitMq

LEFT_OUT = "left out: "

T = TypeVar("T")
P = TypeVar("P", bound=Part)


def need(program: str) -> Path:
    """The program's file; without it the test is left out, in CI it fails."""
    try:
        return find(program)
    except MissingProgram as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(f"{LEFT_OUT}{missing}")


def need_command(name: str, package: str) -> Path:
    """The command of the system; without it the test is left out, in CI it fails. `package` is Debian's."""
    found = shutil.which(name)
    if found is None:
        missing = f"{name} is not on this machine: apt-get install {package}"
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(f"{LEFT_OUT}{missing}")
    return Path(found)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple)
    )
    missing = {why.removeprefix(LEFT_OUT): count for why, count in reasons.items() if why.startswith(LEFT_OUT)}
    if missing:
        terminalreporter.section("LEFT OUT: not everything was tested", sep="!", red=True, bold=True)
        for why, count in missing.items():
            terminalreporter.write_line(f"{count} tests: {why}", red=True)


def complete(work: Coroutine[Any, Any, T]) -> T:
    """Run it to its end on a loop of its own, in a fixture that is not asynchronous."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def started(part: P) -> Iterator[P]:
    """The part, started for as long as a fixture lasts."""
    complete(part.start())
    try:
        yield part
    finally:
        complete(part.stop())


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One server for all tests that don't hurt it."""
    need("postgres")
    yield from started(Postgres(tmp_path_factory.mktemp("postgres")))


@pytest.fixture
def database_url(postgres_server: Postgres) -> Iterator[str]:
    """An empty database of the test's own."""
    name = f"test_{os.urandom(6).hex()}"
    complete(_execute(postgres_server, f"CREATE DATABASE {name}"))
    yield postgres_server.url_of(name)
    complete(_execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(server: Postgres, statement: str) -> None:
    connection = await asyncpg.connect(server.url, timeout=10, command_timeout=30)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    """One server for all tests that don't hurt it."""
    need("nats-server")
    yield from started(Nats(tmp_path_factory.mktemp("nats")))


@pytest.fixture
def nats(nats_server: Nats) -> Nats:
    """The server with streams and consumers as new."""
    complete(_renew_streams(nats_server.url))
    return nats_server


@pytest.fixture(scope="session")
def rabbitmq_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMq]:
    """One broker for all tests that don't hurt it; all exchanges and queues are there."""
    need("rabbitmq-server")
    yield from started(RabbitMq(tmp_path_factory.mktemp("rabbitmq")))


async def _renew_streams(url: str) -> None:
    async with Requests.to(url) as requests:
        names = (await requests.request("$JS.API.STREAM.NAMES", {}))["streams"] or ()
        for name in names:
            await requests.request(f"$JS.API.STREAM.DELETE.{name}")
    await ensure_streams(url, SERVICES)
