"""The server: one socket, the door before the app, and an orderly end."""

import asyncio
import contextlib
import errno
import gc
import logging
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator

import uvicorn

from cludale.http.http1 import url_of
from cludale.web.app import WebApp
from cludale.web.door import Doorkeeper, Limits

_log = logging.getLogger(__name__)

BACKLOG = 2_048
GARBAGE_OBJECTS = 50_000
"""New objects before the collector looks at them. Hardly anything here makes cycles; with Python's 700 it took 5 %."""
SPARE_FILES = 256
"""Open files beside connections: the store, its readers, logs."""


class CannotListen(Exception):
    """The address can't be had; the message says why, for people."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises CannotListen."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise CannotListen(f"{host!r} is no address of this machine: {error}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(f"port {port} is in use: stop what uses it, or take another port") from error
        raise CannotListen(f"{host} port {port} can't be had: {error.strerror}") from error
    listener.setblocking(False)  # noqa: FBT003 - the standard library's own flag
    return listener


def address_of(listener: socket.socket) -> str:
    """The URL that the socket is reached by on this machine."""
    host, port = listener.getsockname()[:2]
    return url_of(host, port)


def allow_files(wanted: int) -> None:
    """Raise the limit of open files as far as the connections need it and the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        ceiling = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))


class _Server(uvicorn.Server):
    """uvicorn, ending on SIGTERM and SIGINT with status 0 instead of being killed by the signal in the end."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more, and finish what is in flight."""
        self._stopping()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals for as long as the server runs."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for each in signals:
            loop.add_signal_handler(each, self.handle_exit, each, None)
        try:
            yield
        finally:
            for each in signals:
                loop.remove_signal_handler(each)


async def serve(
    app: WebApp,
    listener: socket.socket,
    *,
    limits: Limits,
    shutdown_seconds: float,
    started: Callable[[], Awaitable[None]],
    stopping: Callable[[], None],
) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are finished, for `shutdown_seconds` at most.

    `stopping` is called before that.
    """
    keeper = Doorkeeper(app.express, app.problems, limits, internal=app.internal)
    app.metrics.watch(keeper.gauges)
    config = uvicorn.Config(
        app.asgi,
        http=keeper.protocol,  # type: ignore[arg-type] # a factory does what uvicorn does with a class
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(shutdown_seconds)),
    )
    server = _Server(config, stopping)
    patrol = asyncio.create_task(keeper.patrol())
    allow_files(limits.connections + SPARE_FILES)
    await started()
    # What is loaded by now stays: no collection need look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 20)
    try:
        await server.serve([listener])
    finally:
        patrol.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await patrol
        listener.close()
    _log.info("stopped")
