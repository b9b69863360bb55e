"""The gateway as a process: its listeners, its watch over the backends, its orderly end."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from cludale.gateway.admin import Admin
from cludale.gateway.front import Clients
from cludale.gateway.gateway import Gateway
from cludale.gateway.health import check_all, watch
from cludale.gateway.limits import Limits
from cludale.gateway.routes import Routes, UnusableRoutes, decoded
from cludale.gateway.site import Site, surveyed

_log = logging.getLogger(__name__)

GARBAGE_OBJECTS = 50_000
_STOP_SECONDS = 0.05


def read_routes(file: Path) -> Routes:
    """The routes in a file. Raises OSError, UnusableRoutes."""
    try:
        return decoded(file.read_bytes())
    except UnusableRoutes as error:
        raise UnusableRoutes(f"{file}: {error}") from error


@contextlib.asynccontextmanager
async def running(
    listener: socket.socket,
    admin_listener: socket.socket,
    *,
    routes: Routes,
    file: Path,
    token: str,
    site: Site,
    limits: Limits,
    stop_seconds: float,
) -> AsyncIterator[Gateway]:
    """A gateway that serves as long as the context lasts; then requests under way are finished, for `stop_seconds`.

    Raises UnusableRoutes.
    """
    gateway = Gateway(site, limits)
    strangers = gateway.unknown(routes)
    if strangers:
        raise UnusableRoutes(f"{file}: there is no service {', '.join(strangers)}")
    await check_all(gateway.apply(routes), limits)
    clients = Clients(gateway, gateway.counts.count_refused)
    gateway.counts.watch(lambda: len(clients.all))
    operators = Clients(Admin(gateway, file, token), lambda: None)
    loop = asyncio.get_running_loop()
    tasks = [
        loop.create_task(watch(lambda: gateway.backends, limits)),
        loop.create_task(_patrol(gateway, clients, operators)),
    ]
    servers = [
        await loop.create_server(clients.front, sock=listener, backlog=2_048),
        await loop.create_server(operators.front, sock=admin_listener),
    ]
    # What is loaded by now stays: no collection need look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 20)
    try:
        yield gateway
    finally:
        for server in servers:
            server.close()
        await _let_finish(clients, operators, stop_seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        gateway.close()


async def _patrol(gateway: Gateway, *everyone: Clients) -> None:
    while True:
        await asyncio.sleep(gateway.limits.patrol_seconds)
        gateway.patrol()
        for clients in everyone:
            clients.patrol()


async def _let_finish(clients: Clients, operators: Clients, seconds: float) -> None:
    clients.stop()
    operators.stop()
    deadline = asyncio.get_running_loop().time() + seconds
    while clients.all and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - only until it ends
        await asyncio.sleep(_STOP_SECONDS)
    if clients.all:
        _log.warning("%d clients were cut off", len(clients.all))
    clients.close()
    operators.close()


async def serve(
    listener: socket.socket,
    admin_listener: socket.socket,
    *,
    file: Path,
    token: str,
    limits: Limits,
    stop_seconds: float,
    started: Callable[[Gateway], None],
) -> None:
    """Serve until SIGTERM or SIGINT. Raises OSError, UnusableRoutes."""
    routes = read_routes(file)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    async with running(
        listener,
        admin_listener,
        routes=routes,
        file=file,
        token=token,
        site=surveyed(),
        limits=limits,
        stop_seconds=stop_seconds,
    ) as gateway:
        started(gateway)
        await stop.wait()
