"""One backend: connections to it that are kept and shared, how many requests it has, whether it is ready.

A request is written to a connection once and never again: what becomes of it then is the caller's to judge, who is
told whether the backend can have received it.
"""

import asyncio
import logging
from collections import deque
from typing import Protocol, cast

from cludale.gateway.limits import Limits
from cludale.gateway.messages import AnswerReader, Malformed, Passed, plain

_log = logging.getLogger(__name__)


class Call(Protocol):
    """A request on its way to a backend. Told exactly once what became of it."""

    @property
    def wire(self) -> bytes:
        """Its bytes."""

    @property
    def to_head(self) -> bool:
        """Is it a HEAD?"""

    def answered(self, passed: Passed) -> None:
        """The backend's answer."""

    def not_received(self, *, is_full: bool) -> None:
        """The backend has not got a byte of it."""

    def broke_off(self, why: str, *, is_stale: bool) -> None:
        """The backend may have got it, and there is no answer.

        `is_stale`: not a byte came back, over a connection that was in use before.
        """


class Backend:
    """Connections to one address."""

    def __init__(self, host: str, port: int, limits: Limits) -> None:
        self.host = host
        self.port = port
        self.name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.ready = False
        self.troubles = ""
        """Why it is not ready, in its own words, if it said so: it lives, and can say as much to whoever asks."""
        self.is_retired = False
        self.in_flight = 0
        self.requests = 0
        self.failures = 0
        self.tick = 0
        self._limits = limits
        self._idle: list[Upstream] = []
        self._open: set[Upstream] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._waiting: deque[Call] = deque()
        self._breaks = 0
        self._slow_checks = 0

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return len(self._open)

    # Requests

    def send(self, call: Call) -> None:
        """Bring a request there, over a connection that is free or as soon as there is one."""
        self.in_flight += 1
        idle = self._idle
        while idle:
            upstream = idle.pop()
            if upstream.is_usable:
                upstream.ask(call)
                return
        if len(self._waiting) >= self._limits.backend_waiting:
            self.in_flight -= 1
            call.not_received(is_full=True)
            return
        self._waiting.append(call)
        if len(self._open) + len(self._connecting) < self._limits.backend_connections:
            self._start_connecting()

    def take_back(self, call: Call) -> bool:
        """Forget a request that still waits for a connection. False: it is on its way, or done."""
        try:
            self._waiting.remove(call)
        except ValueError:
            return False
        self.in_flight -= 1
        return True

    def give_up(self, call: Call) -> None:
        """Stop waiting for the answer; `call` is told that it broke off."""
        for upstream in self._open:
            if upstream.call is call:
                upstream.fail("no answer in time")
                return

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                await loop.create_connection(lambda: Upstream(self), self.host, self.port)
        except OSError as error:  # TimeoutError is one
            self._unreachable(str(error) or "no connection in time")

    def connected(self, upstream: "Upstream") -> None:
        """A connection is there."""
        self._open.add(upstream)
        self.free(upstream)

    def free(self, upstream: "Upstream") -> None:
        """A connection has nothing to do."""
        if self._waiting:
            upstream.ask(self._waiting.popleft())
        elif self.is_retired:
            upstream.close()
        else:
            upstream.since = self.tick
            self._idle.append(upstream)

    def lost(self, upstream: "Upstream") -> None:
        """A connection is gone."""
        self._open.discard(upstream)
        if upstream in self._idle:
            self._idle.remove(upstream)
        if self._waiting and not self._connecting and not self.is_retired:
            self._start_connecting()

    def _start_connecting(self) -> None:
        task = asyncio.get_running_loop().create_task(self._connect())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def answered(self) -> None:
        """A request that was sent has its answer."""
        self.in_flight -= 1
        self.requests += 1
        self._breaks = 0

    def broke(self) -> None:
        """A request that was sent has none, nor will have."""
        self.in_flight -= 1
        self.requests += 1
        self.failures += 1
        self._breaks += 1
        if self._breaks >= self._limits.breaks and self.ready:
            _log.warning("%s broke off %d times in a row", self.name, self._breaks)
            self.ready = False
        if self._breaks >= self._limits.breaks:
            self.troubles = ""

    # Readiness

    def _unreachable(self, why: str) -> None:
        """No connection can be had: whatever waits for one has not been received."""
        if self.ready and not self._open:
            _log.warning("%s can't be reached: %s", self.name, why)
            self.ready = False
        if not self._open:
            self.troubles = ""
        self._send_back()

    def _send_back(self) -> None:
        waiting, self._waiting = self._waiting, deque()
        self.in_flight -= len(waiting)
        for call in waiting:
            call.not_received(is_full=False)

    def checked(self, status: int | None, why: str = "", *, troubles: str = "") -> None:
        """What a check found: a status, with what does not work if it said so; or nothing in time."""
        if status == 200:
            self.troubles = ""
            if not self.ready and not self.is_retired:
                _log.info("%s is ready", self.name)
                self.ready = True
            self._breaks = self._slow_checks = 0
            return
        if status is None:
            self._slow_checks += 1
            if self._slow_checks < self._limits.slow_checks:
                return
        self.troubles = "" if self.is_retired else troubles
        if self.ready:
            _log.warning("%s is not ready: %s", self.name, why or troubles or f"status {status}")
        self.ready = False

    # The end

    def retire(self) -> None:
        """Take no more; finish what is there."""
        self.is_retired = True
        self.ready = False
        self.troubles = ""
        for upstream in self._idle.copy():
            upstream.close()
        self._send_back()

    def close(self) -> None:
        """Close everything at once."""
        for task in self._connecting:
            task.cancel()
        for upstream in list(self._open):
            upstream.fail("the gateway stops")

    def close_unused(self, tick: int) -> None:
        """Close connections that nobody has used for long."""
        self.tick = tick
        oldest = tick - self._limits.ticks(self._limits.backend_idle_seconds)
        for upstream in [each for each in self._idle if each.since < oldest]:
            upstream.close()


class Upstream(asyncio.Protocol):
    """One connection to a backend, one request at a time."""

    def __init__(self, backend: Backend) -> None:
        self.call: Call | None = None
        self.since = 0
        self._backend = backend
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._is_used = False
        self._has_answered = False

    @property
    def is_usable(self) -> bool:
        """Can a request be sent?"""
        return self._transport is not None and not self._transport.is_closing()

    def ask(self, call: Call) -> None:
        """Send a request. Only where `is_usable`, and nothing else is asked."""
        self.call = call
        self._transport.write(call.wire)  # type: ignore[union-attr] # usable: there is one

    def fail(self, why: str) -> None:
        """Close; what was asked has no answer."""
        call = self.call
        is_stale = self._is_used and not self._has_answered
        self.close()
        if call is not None:
            self._backend.broke()
            call.broke_off(why, is_stale=is_stale)

    def close(self) -> None:
        """Close at once."""
        self.call = None
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
            self._backend.lost(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:  # noqa: D102 - asyncio's
        self._transport = cast("asyncio.Transport", transport)
        self._backend.connected(self)

    def data_received(self, data: bytes) -> None:  # noqa: D102 - asyncio's
        call = self.call
        if call is None:
            self.close()  # nobody asked
            return
        reader = self._reader
        if reader is None:
            passed = None if call.to_head else plain(data)
            if passed is not None:
                self._answered(call, passed, is_reusable=True)
                return
            reader = self._reader = AnswerReader(to_head=call.to_head)
        self._has_answered = True
        try:
            whole = reader.feed(data)
        except Malformed as error:
            self.fail(f"malformed answer: {error}")
            return
        if whole is not None:
            self._answered(call, whole[0], is_reusable=whole[1])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102 - asyncio's
        if self._transport is None:
            return
        ended = self._reader.end() if self._reader is not None and exc is None else None
        if self.call is not None and ended is not None:
            self._answered(self.call, ended, is_reusable=False)
        else:
            self.fail("the connection was lost")

    def _answered(self, call: Call, passed: Passed, *, is_reusable: bool) -> None:
        self.call = None
        self._reader = None
        self._is_used = True
        self._has_answered = False
        backend = self._backend
        backend.answered()
        if is_reusable and self.is_usable:
            backend.free(self)
        else:
            self.close()
        call.answered(passed)
