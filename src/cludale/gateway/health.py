"""Asks every backend, every second, whether it is ready, over a connection of its own each time."""

import asyncio
from collections.abc import Callable, Iterable

from cludale.gateway.backend import Backend
from cludale.gateway.limits import Limits

_ANSWER_BYTES = 65_536


async def check(backend: Backend, limits: Limits) -> None:
    """Ask once, and tell the backend what was found."""
    try:
        async with asyncio.timeout(limits.check_seconds):
            status = await _status_of_readyz(backend)
    except TimeoutError:
        backend.checked(None, f"no answer in {limits.check_seconds:g} s")
    except (OSError, ValueError) as error:
        backend.checked(0, str(error))
    else:
        backend.checked(status)


async def _status_of_readyz(backend: Backend) -> int:
    reader, writer = await asyncio.open_connection(backend.host, backend.port)
    try:
        request = f"GET /readyz HTTP/1.1\r\nhost: {backend.name}\r\nconnection: close\r\n\r\n"
        writer.write(request.encode())
        line = await reader.readline()
        words = line.split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise ValueError(f"not an HTTP answer: {line[:80]!r}")
        return int(words[1])
    finally:
        writer.close()


async def watch(backends: Callable[[], Iterable[Backend]], limits: Limits) -> None:
    """Check all of them, again and again. Runs until it is cancelled."""
    while True:
        await asyncio.sleep(limits.check_every_seconds)
        await check_all(backends(), limits)


async def check_all(backends: Iterable[Backend], limits: Limits) -> None:
    """Check these, all at once."""
    async with asyncio.TaskGroup() as group:
        for backend in backends:
            group.create_task(check(backend, limits))
