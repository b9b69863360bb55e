"""The client for calls between parts of the platform: kept-alive HTTP/1.1 connections to one server.

Services call each other and their sidecar through it. A call costs some 40 µs of CPU where a general client takes ten
times that. It follows no redirects, knows no proxies, and takes no answer above the bounds of `http1`. The command
line and a release, which ask from outside whatever address they are given, use httpx.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping

from cludale.web.connection import Connection, connect
from cludale.web.http1 import ClientResponse, Target


class NoAnswer(Exception):
    """The server can't be reached, gave no answer in time, or broke off: what was asked may be done or not."""


class _Call(Connection):
    """A connection of the client, and whoever waits for its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.used = False
        self._waiter: asyncio.Future[ClientResponse] | None = None

    def ask(self, request: bytes) -> "asyncio.Future[ClientResponse]":
        """Send, and be told."""
        self._waiter = asyncio.get_running_loop().create_future()
        self.send(request)
        return self._waiter

    def answered(self, answer: ClientResponse) -> None:
        self.used = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(answer)

    def failed(self, why: str) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(NoAnswer(why))


class Client:
    """At most `connections` at once to `target`; a call waits for one as part of its own time."""

    def __init__(
        self,
        target: Target,
        *,
        connections: int,
        timeout_seconds: float,
        headers: Mapping[str, str] | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`headers` go with every call; `timeout_seconds` is for the whole of one, however slowly its answer comes.

        `trust`: whom over TLS, if it is not whom everybody trusts.
        """
        self.target = target
        self._timeout_seconds = timeout_seconds
        self._headers = headers or {}
        self._trust = trust
        self._limit = connections
        self._open = 0
        self._idle: deque[_Call] = deque()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed = False

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
        traceparent: str | None = None,
        repeatable: bool = False,
    ) -> ClientResponse:
        """The answer, whatever its status. Raises NoAnswer.

        A server may close a connection that was idle just as it is used again; what is `repeatable` is then asked
        once more over a new one. A `traceparent` that can't stand in a header is left out.
        """
        sent = {**self._headers, **headers} if headers else self._headers
        if traceparent is not None and traceparent.isascii() and traceparent.isprintable():
            sent = {**sent, "traceparent": traceparent}
        request = self.target.request(method, path, body, sent)
        seconds = self._timeout_seconds if timeout_seconds is None else timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._ask(request, repeatable=repeatable)
        except OSError as error:  # TimeoutError is one
            raise NoAnswer(f"{self.target.authority}: {str(error) or f'no answer within {seconds:g} s'}") from error

    async def _ask(self, request: bytes, *, repeatable: bool) -> ClientResponse:
        call = await self._take()
        was_used = call.used
        try:
            return await call.ask(request)
        except NoAnswer as broken:
            if not (was_used and repeatable):
                raise NoAnswer(f"{self.target.authority}: {broken}") from broken
        finally:
            self._give_back(call)
        call = await self._take(fresh=True)
        try:
            return await call.ask(request)
        finally:
            self._give_back(call)

    async def _take(self, *, fresh: bool = False) -> _Call:
        """A connection that nobody uses; a new one if there is none, or a `fresh` one is wanted."""
        while True:
            while self._idle:
                call = self._idle.pop()
                if call.is_open and not fresh:
                    return call
                self._drop(call)
            if self._closed:
                raise NoAnswer("closed")
            if self._open < self._limit:
                self._open += 1
                try:
                    # the caller's time ends it
                    return await connect(_Call, self.target, timeout_seconds=3_600, trust=self._trust)
                except BaseException:
                    self._open -= 1
                    self._wake()
                    raise
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()  # it was our turn; it is the next one's
                raise

    def _give_back(self, call: _Call) -> None:
        if call.in_flight or not call.is_open or self._closed:
            self._drop(call)
        else:
            self._idle.append(call)
        self._wake()

    def _drop(self, call: _Call) -> None:
        self._open -= 1
        call.close()

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    async def close(self) -> None:
        """Close every connection; calls under way end with NoAnswer or their answer."""
        self._closed = True
        while self._idle:
            self._drop(self._idle.pop())
