"""A gateway on real sockets, with short times."""

import asyncio
import socket
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec
import pytest
from tests.gateway.backends import Backend
from tests.served import Served, serve
from tests.served import gateway as gateway_before

from cludale.gateway.gateway import Gateway
from cludale.gateway.limits import Limits
from cludale.gateway.routes import BackendRoute, Routes, ServiceRoutes, Traffic, checked, encoded
from cludale.gateway.server import running
from cludale.gateway.site import Site, surveyed
from cludale.web.server import listen

TOKEN = "the-token"
QUICK = Limits(
    request_seconds=0.5,
    idle_seconds=0.5,
    connect_seconds=0.3,
    answer_seconds=0.6,
    waiting_seconds=0.2,
    check_every_seconds=0.05,
    check_seconds=0.3,
    patrol_seconds=0.05,
)


class Running:
    """A gateway that runs, and clients of its two addresses."""

    def __init__(self, gateway: Gateway, port: int, admin_port: int, file: Path) -> None:
        self.gateway = gateway
        self.port = port
        self.admin_port = admin_port
        self.file = file
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10)
        self.admin = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{admin_port}", timeout=10, headers={"authorization": f"Bearer {TOKEN}"}
        )

    async def raw(self, data: bytes, *, until_closed: bool = True) -> bytes:
        """What comes back for these bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(5):
                return await (reader.read() if until_closed else reader.readuntil(b"\r\n\r\n"))
        finally:
            writer.close()

    async def put(self, service: str, routes: ServiceRoutes) -> httpx.Response:
        return await self.admin.put(f"/-/routes/{service}", content=msgspec.json.encode(routes))


Start = Callable[..., AbstractAsyncContextManager[Running]]


def to(*backends: Backend, **weights: int) -> ServiceRoutes:
    """Routes to these: one revision a backend where there are weights (`blue=100`: the label is the revision's)."""
    if not weights:
        return ServiceRoutes(tuple(BackendRoute(each.url) for each in backends))
    names = list(weights)
    return ServiceRoutes(
        tuple(BackendRoute(each.url, name) for each, name in zip(backends, names, strict=True)),
        tuple(Traffic(name, weight, name) for name, weight in weights.items()),
    )


@pytest.fixture(scope="session")
def site() -> Site:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the framework's, of its next version
        return surveyed()


@pytest.fixture
def start(site: Site, tmp_path: Path) -> Start:
    """`async with start(orders=to(backend)) as running:`."""

    @asynccontextmanager
    async def begin(*, limits: Limits = QUICK, **services: ServiceRoutes) -> AsyncIterator[Running]:
        file = tmp_path / "gateway.json"
        routes = checked(Routes(services))
        file.write_bytes(encoded(routes))
        listener, admin = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
        async with running(
            listener, admin, routes=routes, file=file, token=TOKEN, site=site, limits=limits, stop_seconds=2
        ) as gateway:
            it = Running(gateway, _port(listener), _port(admin), file)
            try:
                yield it
            finally:
                await it.http.aclose()
                await it.admin.aclose()

    return begin


class Real(NamedTuple):
    """A real server with a concert, and a real gateway before it; each in a process of its own."""

    server: Served
    gateway: Served


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    folder = tmp_path_factory.mktemp("data")
    with serve(folder) as server, gateway_before(folder, server, "orders", "concerts") as gateway:
        server.concert("the-concert", seats=100_000)
        yield Real(server, gateway)


def _port(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port
