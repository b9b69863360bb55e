"""The real parts that tests need: PostgreSQL, NATS, … on loopback, in temporary folders, and programs such as strace.

A part that is not on this machine leaves its tests out, and the end of the run says so; in CI they fail instead.
What `make test` runs follows from here, too: what needs no other part than those in QUICK (quick.py).
"""

import asyncio
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest
from tests import quick
from tools.system import WANTED, Wanted

from cludale.services import NAMES
from cludale_operations.local.find import KNOWN, MissingProgram, cache_folder, find
from cludale_operations.local.jetstream import ensure_streams, jetstream
from cludale_operations.local.nats import Nats
from cludale_operations.local.part import Part
from cludale_operations.local.postgres import Postgres
from cludale_operations.local.rabbitmq import RabbitMq

LEFT_OUT = "left out: "
"""How the reason of a skipped test begins that lacks a part."""

QUICK = {"postgres", "haproxy", *(name for name, wanted in WANTED.items() if wanted.is_quick)}
"""The parts that `make test` brings, or asks root to bring."""

SIDECAR = Path(__file__).parents[1] / "tools/daprd"
"""The sidecar's sources."""

T = TypeVar("T")
P = TypeVar("P", bound=Part)


class Missing(Exception):
    """A part is not on this machine; the message says what brings it."""


def need(part: str) -> Path:
    """The part's file; without it the test is left out, in CI it fails. `make test` leaves out what is not QUICK.

    A part is one that `cludale up` needs, one of PARTS, or a program that a package of Debian with its name holds.
    """
    if quick.is_quick() and part not in QUICK:
        pytest.skip(f"{quick.LATER}{part}")
    try:
        if part in PARTS:
            return PARTS[part]()
        return find(part) if part in KNOWN else _of_the_system(part)
    except (Missing, MissingProgram) as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(f"{LEFT_OUT}{missing}")


def _of_the_system(name: str) -> Path:
    """A file or program that only root can install."""
    wanted = WANTED.get(name) or Wanted(name, "", is_quick=False, programs=(name,))
    if not wanted.is_here():
        raise Missing(f"{name} is not on this machine: apt-get install {wanted.packages}")
    return wanted.file() or Path(shutil.which(wanted.programs[0]) or wanted.programs[0])


def _cached(file: str, target: str) -> Callable[[], Path]:
    """What a target of make puts into the cache."""

    def search() -> Path:
        found = cache_folder() / file
        if not found.exists():
            raise Missing(f"there is no {found}: make {target}")
        return found.absolute()

    return search


def _cosmos_emulator() -> Path:
    _of_the_system("cosmos-emulator")
    return _cached("cosmos-emulator/node_modules", "cosmos-emulator")().parent


def _oidc_provider() -> Path:
    _of_the_system("oidc-provider")
    return _cached("oidc-provider/node_modules", "oidc-provider")().parent


def _go() -> Path:
    """Go: the one that tools/go/build.sh installed, which it does where the one on the PATH is missing or too old."""
    found = shutil.which(cache_folder() / "go/go/bin/go") or shutil.which("go")
    if found is None:
        raise Missing("there is no Go here: make daprd")
    said = subprocess.run([found, "env", "GOVERSION"], capture_output=True, text=True, timeout=60, check=True).stdout
    asked = re.findall(r"^go (.+)$", (SIDECAR / "go.mod").read_text(), re.MULTILINE)
    oldest, version = ([int(number) for number in re.findall(r"\d+", text)] for text in (asked[0], said))
    if version < oldest:
        raise Missing(f"{found} is {said.strip()}, which is too old: make daprd")
    return Path(found).absolute()


def _root() -> Path:
    """Root that may mount; its folder."""
    if os.geteuid() != 0:
        raise Missing("only root can carry the Dockerfile out (mount, chroot)")
    for program in ("unshare", "chroot", "setpriv", "mount"):
        if shutil.which(program) is None:
            raise Missing(f"there is no {program} here")
    tried = subprocess.run(["unshare", "--mount", "true"], capture_output=True, timeout=10, check=False)
    if tried.returncode != 0:
        raise Missing("mount namespaces are not allowed here")
    return Path("/")


PARTS: Mapping[str, Callable[[], Path]] = {
    "cosmos-emulator": _cosmos_emulator,
    "oidc-provider": _oidc_provider,
    "checkov": _cached("checkov/bin/checkov", "checkov"),
    "bandit": _cached("security/bin/bandit", "bandit"),
    "azure-cli": _cached("azure-cli/bin/python", "azure-cli"),
    "check-jsonschema": _cached("azure-cli/bin/check-jsonschema", "azure-cli"),
    "go": _go,
    "root": _root,
}
"""Parts that `cludale up` doesn't know and a package of Debian doesn't hold."""


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
    yield from _database(postgres_server)


@pytest.fixture
def another_database_url(postgres_server: Postgres) -> Iterator[str]:
    """A second one."""
    yield from _database(postgres_server)


def _database(postgres_server: Postgres) -> Iterator[str]:
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
    async with jetstream(url) as broker:
        for stream in await broker.streams_info():
            await broker.delete_stream(str(stream.config.name))
    await ensure_streams(url, NAMES)
