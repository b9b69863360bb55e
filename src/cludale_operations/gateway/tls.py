"""HTTPS before one server: HAProxy with a certificate, and plain HTTP that leads there."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from cludale_operations.gateway.certificates import NO_FRAME, bind, check, hsts, keep_current, redirect
from cludale_operations.gateway.configuration import GatewayLimits
from cludale_operations.gateway.runtime import Runtime

_log = logging.getLogger(__name__)

CONFIGURATION = "https.cfg"
SOCKET = "https.sock"


class Doors(NamedTuple):
    """Sockets that listen: where people come in, and where the server is."""

    public: socket.socket
    inner: socket.socket
    plain: socket.socket | None = None
    """Where plain HTTP is led to HTTPS from."""


def _written(doors: Doors, certificate: Path, limits: GatewayLimits, *, hsts_subdomains: bool) -> Iterator[str]:
    inner_host, inner_port = doors.inner.getsockname()[:2]
    yield "global"
    yield f"    stats socket unix@{SOCKET} mode 600 level admin"
    yield f"    maxconn {limits.connections}"
    yield f"    hard-stop-after {round(limits.stop_seconds * 1000)}ms"
    yield "defaults common"
    yield "    mode http"
    for what, seconds in (
        ("connect", limits.connect_seconds),
        ("client", limits.request_seconds),
        ("http-request", limits.request_seconds),
        ("http-keep-alive", limits.idle_seconds),
        ("server", limits.answer_seconds),
    ):
        yield f"    timeout {what} {round(seconds * 1000)}ms"
    yield "frontend public"
    yield f"    {bind(doors.public.fileno(), certificate)}"
    for name in ("forwarded", "x-real-ip", "x-forwarded-for", "x-forwarded-host"):
        yield f"    http-request del-header {name}"
    yield "    http-request set-header x-forwarded-for %[src]"
    yield "    http-request set-header x-forwarded-proto https"
    yield f"    {hsts(subdomains=hsts_subdomains)}"
    yield f"    {NO_FRAME}"
    yield "    default_backend inner"
    yield "backend inner"
    yield f"    server inner {inner_host}:{inner_port}"
    if doors.plain is not None:
        yield from redirect(doors.plain.fileno(), doors.public.getsockname()[1], defaults="common")


@asynccontextmanager
async def https(
    doors: Doors,
    certificate: Path,
    *,
    program: Path,
    tied: Callable[[Sequence[str | Path]], list[str]],
    folder: Path,
    limits: GatewayLimits,
    hsts_subdomains: bool = False,
) -> AsyncIterator[None]:
    """HTTPS at `doors.public`, from now on until the block ends; the server's socket has to listen already.

    A certificate that is renewed is shown within a second or two. Where HAProxy ends by itself this process is told to
    end, too. Raises NoHttps, OSError.
    """
    configuration = folder / CONFIGURATION
    configuration.touch(mode=0o600)
    configuration.write_text("\n".join([*_written(doors, certificate, limits, hsts_subdomains=hsts_subdomains), ""]))
    descriptors = [each.fileno() for each in (doors.public, doors.plain) if each is not None]
    await check(tied([program, "-c", "-f", configuration]), certificate, folder, descriptors)
    proxy = await asyncio.create_subprocess_exec(
        *tied([program, "-db", "-q", "-f", configuration]),
        cwd=folder,
        pass_fds=descriptors,
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    watching = asyncio.gather(_end_with(proxy), keep_current(certificate, Runtime(folder, SOCKET)))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await _ended(proxy, limits.stop_seconds)


async def _end_with(proxy: Process) -> None:
    await proxy.wait()
    _log.error("HAProxy ended by itself, with status %s: there is no HTTPS any more", proxy.returncode)
    os.kill(os.getpid(), signal.SIGTERM)


async def _ended(proxy: Process, seconds: float) -> None:
    if proxy.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        proxy.send_signal(signal.SIGUSR1)
    try:
        async with asyncio.timeout(min(seconds, 2.0)):  # the server has answered what it had: idle connections are left
            await proxy.wait()
    except TimeoutError:
        proxy.kill()
        await proxy.wait()
