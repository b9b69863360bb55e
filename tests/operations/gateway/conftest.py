"""A gateway of its own process, before backends on real sockets or before a real server."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from tests.operations.gateway.backends import Backend
from tests.parts import need
from tests.served import Served, gateway, serve

from cludale.services import NAMES
from cludale_operations.gateway.control import Control
from cludale_operations.gateway.routes import BackendRoute, Routes, ServiceRoutes, Traffic, checked


class Running:
    """A gateway that runs, a client of it, and the driver."""

    def __init__(self, served: Served, control: Control, file: Path) -> None:
        self.served = served
        self.port = served.port
        self.control = control
        self.file = file
        self.http = httpx.AsyncClient(base_url=served.url, timeout=10)

    async def raw(self, data: bytes) -> bytes:
        """What comes back for these bytes until the connection ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(10):
                return await reader.read()
        finally:
            writer.close()

    async def put(self, service: str, routes: ServiceRoutes) -> ServiceRoutes:
        """Let these be the service's routes."""
        return await asyncio.to_thread(self.control.change, service, lambda _: routes)

    async def ready(self, service: str) -> list[bool]:
        """Which of its backends are ready."""
        status = await asyncio.to_thread(self.control.status)
        return [each.ready for each in status[service].backends]


Start = Callable[..., AbstractAsyncContextManager[Running]]


def to(*backends: Backend, **weights: int) -> ServiceRoutes:
    """Routes to these: one revision a backend where there are weights (`blue=100`: the label is the revision's)."""
    if not weights:
        return ServiceRoutes(tuple(BackendRoute(each.url) for each in backends))
    names = list(weights)
    return ServiceRoutes(
        tuple(BackendRoute(each.url, name) for each, name in zip(backends, names, strict=True)),
        tuple(
            Traffic(name, weight, name if name in ("blue", "green") else None)  # type: ignore[arg-type]
            for name, weight in weights.items()
        ),
    )


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Path]]:
    """A gateway for all tests in turn; a client may take two seconds for a request."""
    need("haproxy")
    folder = tmp_path_factory.mktemp("gateway")
    with gateway(folder, {}, {"CLUDALE_REQUEST_SECONDS": "2"}) as served:
        yield served, folder


@pytest.fixture
def start(shared: tuple[Served, Path]) -> Start:
    """`async with start(orders=to(backend)) as running:`; whatever routes there were are gone then."""
    served, folder = shared

    @asynccontextmanager
    async def begin(**services: ServiceRoutes) -> AsyncIterator[Running]:
        it = Running(served, Control(folder / "gateway.json", folder), folder / "gateway.json")
        for name in NAMES:
            wanted = checked(Routes({name: services.get(name, ServiceRoutes())})).services[name]
            if it.control.service(name) != wanted:
                await it.put(name, wanted)
        try:
            yield it
        finally:
            await it.http.aclose()

    return begin


class Real(NamedTuple):
    """A real server with a concert, and a real gateway before it; each in a process of its own."""

    server: Served
    gateway: Served


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    need("haproxy")
    folder = tmp_path_factory.mktemp("data")
    with serve(folder) as server:
        routes = {"backends": [{"url": server.url}]}
        with gateway(folder, dict.fromkeys(("orders", "concerts"), routes)) as before:
            server.concert("the-concert", seats=100_000)
            yield Real(server, before)
