"""The gateway as a process: HAProxy, started over the routes in a file, and the pages beside it."""

import asyncio
import logging
import os
import signal
import socket
import ssl
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from cludale.services import NAMES
from cludale.web.files import allow_files
from cludale.web.open_connections import ConnectionLimits
from cludale.web.server import address_of, listen
from cludale.web.server import serve as serve_pages
from cludale.web.trust import naming, shown
from cludale_operations.gateway.certificates import check, keep_current
from cludale_operations.gateway.clients import FILES_EACH, SPARE_FILES
from cludale_operations.gateway.configuration import Entry, GatewayLimits, Inside, written
from cludale_operations.gateway.control import SOCKET, Control
from cludale_operations.gateway.routes import Routes, ServiceRoutes, UnusableRoutes, decoded
from cludale_operations.gateway.runtime import GatewayRefused, Runtime
from cludale_operations.gateway.site import Site, surveyed

_log = logging.getLogger(__name__)

CONFIGURATION = "gateway.cfg"
START_SECONDS = 20
_LOOK_SECONDS = 0.02
_PAGES_STOP_SECONDS = 1
_BODY_BYTES = 1_024
_PUT_OFF_SECONDS = 0.2


class ProxyFailed(Exception):
    """HAProxy did not start, or ended by itself; the message says why."""


def read_routes(file: Path) -> Routes:
    """The routes in a file. Raises OSError, UnusableRoutes."""
    try:
        return decoded(file.read_bytes())
    except UnusableRoutes as error:
        raise UnusableRoutes(f"{file}: {error}") from error


class GatewayDoors(NamedTuple):
    """Sockets that listen."""

    public: socket.socket
    """Where people come in."""
    plain: socket.socket | None = None
    """Where plain HTTP is led to HTTPS from."""
    inside: socket.socket | None = None
    """Where this machine's own parts come in."""
    certificate: Path | None = None
    """With it HTTPS is spoken at `public`."""
    shown_inside: Path | None = None
    """With it HTTPS is spoken at `inside`, and between HAProxy and what this process serves itself."""
    trusted: tuple[str, ...] = ()
    """Networks of proxies that are believed."""
    hsts_subdomains: bool = False
    """Are browsers told to stay with HTTPS for hosts below this one, too?"""
    operators: tuple[str, ...] = ()
    """Networks from which the gateway's figures are shown; none: from anywhere."""

    def entry(self) -> Entry:
        """The same, as HAProxy's configuration names it."""
        plain = None if self.plain is None else self.plain.fileno()
        inside = None if self.inside is None else Inside(self.inside.fileno(), self.shown_inside)
        port = self.public.getsockname()[1]
        return Entry(
            self.public.fileno(),
            self.certificate,
            port,
            plain,
            inside,
            self.trusted,
            self.hsts_subdomains,
            self.operators,
        )

    def close(self) -> None:
        """Let go of them: they are HAProxy's."""
        for each in (self.public, self.plain, self.inside):
            if each is not None:
                each.close()


async def serve(
    doors: GatewayDoors,
    *,
    program: Path,
    tied: Callable[[Sequence[str | Path]], list[str]],
    file: Path,
    folder: Path,
    limits: GatewayLimits,
    people: str | None,
    started: Callable[[int], None],
) -> None:
    """Serve until SIGTERM or SIGINT; what is under way is finished, for `limits.stop_seconds` at most.

    `people`: where the pages for people are, if they are anywhere. `tied`: the
    command for a program that ends with us; `started` is told how many backends there are. Raises OSError,
    UnusableRoutes, ProxyFailed, NoHttps, CannotListen, ssl.SSLError.
    """
    routes = read_routes(file)
    strangers = sorted(set(routes.services) - set(NAMES))
    if strangers:
        raise UnusableRoutes(f"{file}: there is no service {', '.join(strangers)}")
    _put_off_signals()
    control = Control(file, folder)
    if _says(control.status):
        raise ProxyFailed(f"another gateway runs over {folder}")
    site, entry, own = surveyed(), doors.entry(), doors.shown_inside
    pages = listen("127.0.0.1", 0)
    configuration = folder / CONFIGURATION
    configuration.touch(mode=0o600)
    configuration.write_text(
        written(
            {name: routes.services.get(name, ServiceRoutes()) for name in NAMES},
            entry=entry,
            pages=f"{address_of(pages, is_secure=own is not None)}{'' if own is None else naming(own)}",
            socket=SOCKET,
            problems=site.problems,
            limits=limits,
            people=people,
        )
    )
    if doors.certificate is not None:
        await check(tied([program, "-c", "-f", CONFIGURATION]), doors.certificate, folder, entry.descriptors)
    allow_files(FILES_EACH * limits.connections + SPARE_FILES)
    proxy = await asyncio.create_subprocess_exec(
        *tied([program, "-db", "-f", CONFIGURATION]),
        cwd=folder,
        pass_fds=entry.descriptors,
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # a Ctrl-C in our terminal is ours: we let it finish what it has
    )
    renewing: asyncio.Task[None] | None = None
    try:
        await _until_ready(proxy, control)
        doors.close()
        if doors.certificate is not None:
            renewing = asyncio.create_task(keep_current(doors.certificate, Runtime(folder, SOCKET)))
        tls = None if own is None else shown(own)
        await _together(proxy, site, pages, limits, lambda: started(_count(routes)), tls)
    finally:
        if renewing is not None:
            renewing.cancel()
        if proxy.returncode is None:
            proxy.kill()
            await proxy.wait()


def _put_off_signals() -> None:
    """A signal that comes before the pages are served comes again, until they are and can end in order."""
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, loop.call_later, _PUT_OFF_SECONDS, os.kill, os.getpid(), each)


async def _together(
    proxy: Process,
    site: Site,
    pages: socket.socket,
    limits: GatewayLimits,
    started: Callable[[], None],
    tls: ssl.SSLContext | None,
) -> None:
    """Serve the pages until a signal comes or HAProxy ends, then let HAProxy finish what it has."""
    is_told_to_end = False

    async def greet() -> None:
        started()

    def stop() -> None:
        nonlocal is_told_to_end
        is_told_to_end = proxy.returncode is None
        if is_told_to_end:
            proxy.send_signal(signal.SIGUSR1)

    async def end_with_it() -> None:
        await proxy.wait()
        if not is_told_to_end:
            os.kill(os.getpid(), signal.SIGTERM)

    watching = asyncio.create_task(end_with_it())
    await serve_pages(
        site,
        pages,
        limits=ConnectionLimits(body_bytes=_BODY_BYTES),
        shutdown_seconds=_PAGES_STOP_SECONDS,
        started=greet,
        stopping=stop,
        tls=tls,
    )
    if not is_told_to_end:
        raise ProxyFailed(f"HAProxy ended by itself, with status {proxy.returncode}")
    try:
        async with asyncio.timeout(limits.stop_seconds + _PAGES_STOP_SECONDS):
            await watching
    except TimeoutError:
        _log.warning("what was still under way was cut off")


async def _until_ready(proxy: Process, control: Control) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while not _says(control.begin):
                if proxy.returncode is not None:
                    raise ProxyFailed(f"HAProxy ended with status {proxy.returncode} before it was ready")
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise ProxyFailed(f"HAProxy was not ready in {START_SECONDS} s") from None


def _says(asked: Callable[[], object]) -> bool:
    """Does HAProxy answer, and with something?"""
    try:
        return bool(asked())
    except GatewayRefused:
        return False


def _count(routes: Routes) -> int:
    return sum(len(service.backends) for service in routes.services.values())
