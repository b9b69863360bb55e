"""A part of the distributed shape: one process that is started, watched and stopped by us.

Bound to no event loop: it can be started on one and stopped on another, as session-wide test fixtures do.
"""

import asyncio
import contextlib
import os
import signal
import ssl
import subprocess
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import ClassVar, NamedTuple, Self
from urllib.parse import urlsplit

from cludale.kernel.backoff import Backoff
from cludale_operations.local.tether import tethered

LOG_LINES_SHOWN = 8
_LOG_BYTES_READ = 8_192
_LOOKS = Backoff(0.03, 0.3)
"""How soon one looks again, later each time: looking costs who looks and who answers."""
_ANSWER_SECONDS = 2


class PartFailed(Exception):
    """A part did not start; the message ends with the last lines of its log."""


class Launch(NamedTuple):
    """What is run."""

    argv: Sequence[str | Path]
    environment: Mapping[str, str] = {}
    """What is added to our own environment."""
    user: str | None = None
    folder: Path | None = None


class Part(ABC):
    """One process. A subclass says what is run and when it is ready."""

    ready_seconds: ClassVar[float] = 30
    stop_seconds: float = 10
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    orphan_signal: ClassVar[signal.Signals] = signal.SIGKILL
    """What it gets when we are gone."""

    port: int = 0
    """The one by which it is known, of those that it listens on."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    async def prepare(self) -> None:
        """Whatever has to be there before the process starts: folders, configuration."""

    @abstractmethod
    def launch(self) -> Launch:
        """What to run."""

    @abstractmethod
    async def is_ready(self) -> bool:
        """Does it do its work?"""

    async def is_well(self) -> bool:
        """Does all that it needs work, too? While something doesn't, it is none the better for a new start."""
        return await self.is_ready()

    @property
    def http_url(self) -> str | None:
        """Where it answers HTTP, if it does."""
        return None

    @property
    def trusted(self) -> Path | None:
        """The certificate that it shows there, for who asks it to trust; None where it shows none of its own."""
        return None

    @property
    def pid(self) -> int | None:
        """The process while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def ended(self) -> int | None:
        """The exit status of a process that has ended, negative for a signal; None if it runs or never started."""
        return None if self._process is None else self._process.poll()

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises PartFailed, MissingProgram, OSError; nothing is left then."""
        await self.begin()
        try:
            await self.wait_until_ready()
        except BaseException:
            await self.stop()
            raise

    async def begin(self) -> None:
        """Start the process; `wait_until_ready` is the other half."""
        if self.pid is not None:
            raise RuntimeError(f"{self.name} runs already")
        self.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        await self.prepare()
        launch = self.launch()
        command = tethered(launch.argv, when_orphaned=self.orphan_signal, user=launch.user)
        # what a service says may tell of buyers
        self.log.touch(mode=0o600)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **launch.environment},
                cwd=launch.folder,
                # a Ctrl-C in our terminal is ours: we stop the parts, in order
                start_new_session=True,
            )

    async def wait_until_ready(self) -> None:
        """Wait `ready_seconds` at most. Raises PartFailed."""
        try:
            async with asyncio.timeout(self.ready_seconds):
                looks = count(1)
                while not await self.is_ready():
                    if self.ended is not None:
                        raise PartFailed(
                            f"{self.name} ended ({how(self.ended)}) before it was ready{self.last_words()}"
                        )
                    await asyncio.sleep(_LOOKS.seconds(next(looks), 0))
        except TimeoutError:
            raise PartFailed(f"{self.name} was not ready in {self.ready_seconds:g} s{self.last_words()}") from None

    async def stop(self) -> None:
        """Let it end in order, `stop_seconds` at most; then by force, with whatever it started."""
        if self._process is None:
            return
        self.signal(self.stop_signal)
        try:
            async with asyncio.timeout(self.stop_seconds):
                await self.wait()
        except TimeoutError:
            pass
        await self.kill()

    async def kill(self) -> None:
        """End it at once, with whatever it started."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self.wait()

    async def wait(self) -> int:
        """Its exit status, once it has ended."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        looks = count(1)
        while (status := self._process.poll()) is None:
            await asyncio.sleep(_LOOKS.seconds(next(looks), 0))
        return status

    def signal(self, what: signal.Signals) -> None:
        """Send a signal to the process, if it runs."""
        if self.pid is not None and self._process is not None:
            self._process.send_signal(what)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Started for as long as the block lasts."""
        await self.start()
        try:
            yield self
        finally:
            await self.stop()

    def last_words(self) -> str:
        """The end of its log, for a message."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, self.log.stat().st_size - _LOG_BYTES_READ))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join([f"; the end of {self.log}:", *lines[-LOG_LINES_SHOWN:]])


def how(status: int) -> str:
    """An exit status in words: `signal 9` or `status 1`."""
    return f"signal {-status}" if status < 0 else f"status {status}"


async def answers(url: str, headers: Mapping[str, str] | None = None, trust: ssl.SSLContext | None = None) -> bool:
    """Does the address (`http://host:port/path`, over TLS with `trust`) answer with a good status?"""
    there = urlsplit(url)
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    request = f"GET {there.path or '/'} HTTP/1.1\r\nhost: {there.netloc}\r\nconnection: close\r\n{lines}\r\n"
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(there.hostname, there.port, ssl=trust)
            try:
                writer.write(request.encode())
                status = await reader.readline()
            finally:
                writer.transport.abort()  # over TLS, close() waits for the other side's goodbye
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, ValueError):
        return False
    return status.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2"))
