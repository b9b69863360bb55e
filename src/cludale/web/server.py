"""The server: one socket, its connections, and an orderly end."""

import asyncio
import contextlib
import errno
import gc
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from cludale.web.app import WebApp
from cludale.web.files import within_files
from cludale.web.http1 import url_of
from cludale.web.open_connections import ConnectionLimits, Connections
from cludale.web.protocol import Connection

_log = logging.getLogger(__name__)

BACKLOG = 2_048
GOODBYE_SECONDS = 1.0
"""How long a client over TLS may take to say that the connection is over, too: one that is idle may not look at all."""
GARBAGE_OBJECTS = 50_000
"""New objects before the collector looks at them. Hardly anything here makes cycles; with Python's 700 it took 5 %."""


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


def address_of(listener: socket.socket, *, is_secure: bool = False) -> str:
    """The URL that the socket is reached by on this machine; `is_secure`: by HTTPS."""
    host, port = listener.getsockname()[:2]
    address = url_of(host, port)
    return address.replace("http://", "https://", 1) if is_secure else address


@contextlib.contextmanager
def _told_to_stop() -> Iterator[tuple[asyncio.Event, asyncio.Event]]:
    """The first is set by SIGTERM and SIGINT, while in this context; the second by a SIGINT after that."""
    loop, told, again = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)

    def tell(which: signal.Signals) -> None:
        (again if told.is_set() and which is signal.SIGINT else told).set()

    for each in signals:
        loop.add_signal_handler(each, tell, each)
    try:
        yield told, again
    finally:
        for each in signals:
            loop.remove_signal_handler(each)


@contextlib.asynccontextmanager
async def accepting(
    connections: Connections,
    listener: socket.socket,
    *,
    shutdown_seconds: float,
    at_once: asyncio.Event | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[None]:
    """Take connections while in this context; then finish the requests in flight, for so long at most, or until
    `at_once` is set. With `tls` they are taken over TLS alone.
    """
    server = await connections.loop.create_server(
        lambda: Connection(connections),
        sock=listener,
        backlog=BACKLOG,
        ssl=tls,
        ssl_shutdown_timeout=None if tls is None else GOODBYE_SECONDS,
    )
    patrol = asyncio.create_task(connections.patrol())
    try:
        yield
    finally:
        server.close()
        await connections.stop(shutdown_seconds, at_once or asyncio.Event())
        patrol.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await patrol


async def serve(
    app: WebApp,
    listener: socket.socket,
    *,
    limits: ConnectionLimits,
    shutdown_seconds: float,
    started: Callable[[], Awaitable[None]],
    stopping: Callable[[], None],
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are finished, for `shutdown_seconds` at most.

    `stopping` is called before that. With `tls` it is served over TLS alone.
    """
    limits = within_files(limits)
    await started()
    # What is loaded by now stays: no collection need look at it again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 20)
    connections = Connections(app.router.find, app.problems, limits, requests=app.requests)
    app.metrics.watch(connections.gauges)
    with _told_to_stop() as (told, again):
        async with accepting(connections, listener, shutdown_seconds=shutdown_seconds, at_once=again, tls=tls):
            await told.wait()
            stopping()
    listener.close()
    _log.info("stopped")
