"""Asks every backend, every second, whether it is ready, over a connection of its own each time."""

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from cludale.gateway.backend import Backend
from cludale.gateway.limits import Limits

_ANSWER_BYTES = 65_536


class _Trouble(msgspec.Struct):
    detail: str


class _Problem(msgspec.Struct):
    """What a service says that is not ready."""

    troubles: list[_Trouble] = []


class _Found(NamedTuple):
    status: int
    troubles: str
    """What does not work, in the service's words; empty if it is ready, or says nothing of that kind."""


_read = msgspec.json.Decoder(_Problem).decode


async def check(backend: Backend, limits: Limits) -> None:
    """Ask once, and tell the backend what was found."""
    try:
        async with asyncio.timeout(limits.check_seconds):
            found = await _ask_readyz(backend)
    except TimeoutError:
        backend.checked(None, f"no answer in {limits.check_seconds:g} s")
    except (OSError, ValueError) as error:
        backend.checked(0, str(error))
    else:
        backend.checked(found.status, troubles=found.troubles)


async def _ask_readyz(backend: Backend) -> _Found:
    reader, writer = await asyncio.open_connection(backend.host, backend.port, limit=_ANSWER_BYTES)
    try:
        request = f"GET /readyz HTTP/1.1\r\nhost: {backend.name}\r\nconnection: close\r\n\r\n"
        writer.write(request.encode())
        line = await reader.readline()
        words = line.split(b" ", 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise ValueError(f"not an HTTP answer: {line[:80]!r}")
        status = int(words[1])
        return _Found(status, "" if status == 200 else await _read_troubles(reader))
    finally:
        writer.close()


async def _read_troubles(reader: asyncio.StreamReader) -> str:
    """What a service says that does not work; nothing if it says nothing that can be read."""
    try:
        length = 0
        while (line := await reader.readline()).strip():
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                length = int(value)
        if not 0 < length <= _ANSWER_BYTES:
            return ""
        return " ".join(each.detail for each in _read(await reader.readexactly(length)).troubles)
    except (ValueError, EOFError):  # msgspec's errors are ValueErrors
        return ""


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
