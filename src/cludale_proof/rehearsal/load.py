"""The load generator: many buyers at one server, for as little CPU as it takes.

Closed loop: every connection asks again as soon as it has its answer. Open loop: once the connections stand,
requests are due at times of their own, whether the server keeps up or not. What is asked and what the answers
mean is the caller's matter.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from random import Random
from time import perf_counter, process_time
from typing import Final

from cludale.runtime.tasks import Tasks
from cludale.web.connection import Connection, connect
from cludale.web.http1 import ClientResponse, Target
from cludale_proof.rehearsal.latencies import Latencies

_TICK_SECONDS: Final = 0.001
_ARRIVALS_AT_ONCE: Final = 64
_LOOK_FOR_TIMEOUTS_SECONDS: Final = 0.1
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0

Hear = Callable[[int, bytes], None]
"""Told of each answer: its status and body."""


class Tally:
    """What has come of the requests so far: latencies by status, and requests without an answer by reason."""

    def __init__(self) -> None:
        self.latencies: dict[int, Latencies] = {}
        self.errors: dict[str, int] = {}
        self.began = 0.0
        """When the first request was sent, by perf_counter."""
        self.ended = 0.0
        """When the last request was answered or failed, by perf_counter."""
        self.cpu_seconds = 0.0
        """User and system time of this whole process meanwhile."""

    @property
    def answered(self) -> int:
        """How many requests were answered, whatever the status."""
        return sum(of_status.count for of_status in self.latencies.values())

    @property
    def failed(self) -> int:
        """How many requests got no answer."""
        return sum(self.errors.values())

    def count(self, *statuses: int) -> int:
        """How many answers had one of these statuses."""
        return sum(self.latencies[status].count for status in statuses if status in self.latencies)

    @property
    def statuses(self) -> dict[int, int]:
        """How many answers had each status."""
        return {status: of_status.count for status, of_status in sorted(self.latencies.items())}

    @property
    def seconds(self) -> float:
        """From the first request to the last answer."""
        return self.ended - self.began


def at_random(rate: float, *, seed: int) -> Iterator[float]:
    """Arrival times in seconds as those of people who don't know each other, `rate` a second on average. Endless."""
    random, moment = Random(seed), 0.0  # noqa: S311 - not for secrets
    while True:
        moment += random.expovariate(rate)
        yield moment


class Load:
    """Sends each of `requests` once, over `connections` kept-alive connections, and counts what comes back.

    With `arrivals` (seconds, rising, from when all connections were tried) it is an open loop, and a latency is
    counted from the arrival, so a request that had to wait for a free connection has waited (the timer adds up
    to 1 ms). A request without an answer after `timeout_seconds`, or whose connection broke or could not be had, is an
    error; it is never sent again.
    """

    def __init__(
        self,
        target: Target,
        requests: Iterator[bytes],
        *,
        connections: int,
        timeout_seconds: float = 10.0,
        arrivals: Iterator[float] | None = None,
        hear: Hear | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.tally = Tally()
        self._target = target
        self._requests = requests
        self._connections = connections
        self._timeout_seconds = timeout_seconds
        self._arrivals = arrivals
        self._hear = hear
        self._trust = trust
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._idle: set[_Line] = set()
        self._lines: set[_Line] = set()
        self._outstanding = 0
        self._exhausted = False
        self._untried = connections
        """Connections that nobody has tried to make yet."""
        self._at_the_door = asyncio.Event()
        """All were tried: buyers may come."""
        self._tasks = Tasks(self._break)
        self._over: asyncio.Future[None] | None = None

    async def run(self) -> Tally:
        """Send everything and wait for all answers. Ends at the latest when the last request has timed out.

        Raises what `requests`, `arrivals` or `hear` raised.
        """
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        before, self.tally.began = process_time(), perf_counter()
        self._tasks.start(self._look_for_timeouts())
        if self._arrivals is not None:
            self._tasks.start(self._let_arrive(self._arrivals))
        for _ in range(self._connections):
            self._tasks.start(self._connect(0.0))
        try:
            await self._over
        finally:
            await self._tasks.stop()
            for line in self._lines:
                line.close()
        self.tally.cpu_seconds = process_time() - before
        return self.tally

    def stop(self) -> None:
        """Send nothing more; what is in flight is still waited for."""
        self._exhausted = True
        self._outstanding -= len(self._waiting)
        self._waiting.clear()
        self._end_if_over()

    def _free(self, line: "_Line", now: float) -> None:
        """A connection has nothing to do: give it the next request, if one is there."""
        if self._arrivals is not None:
            if self._waiting:
                request, arrived = self._waiting.popleft()
                line.ask(request, arrived, now)
            else:
                self._idle.add(line)
            return
        request_or_none = None if self._exhausted else next(self._requests, None)
        if request_or_none is None:
            self._exhausted = True
            self._end_if_over()
            return
        self._outstanding += 1
        line.ask(request_or_none, now, now)

    def _answered(self, line: "_Line", answer: ClientResponse) -> None:
        try:
            self._count_answer(line, answer)
        except Exception as error:  # noqa: BLE001 - raised by the caller's `hear` or `requests`: run() raises it
            self._break(error)

    def _count_answer(self, line: "_Line", answer: ClientResponse) -> None:
        now = perf_counter()
        status, body, reusable, *_ = answer
        of_status = self.tally.latencies.get(status)
        if of_status is None:
            of_status = self.tally.latencies[status] = Latencies()
        of_status.add(now - line.arrived)
        if self._hear is not None:
            self._hear(status, body)
        self._outstanding -= 1
        if reusable:
            self._free(line, now)
        else:
            self._replace(line, 0.0)
        if self._exhausted:
            self._end_if_over()

    def _failed(self, line: "_Line", why: str) -> None:
        self._count_error(why)
        self._replace(line, 0.0)

    def _idled_out(self, line: "_Line") -> None:
        if line in self._lines:
            self._replace(line, _FIRST_PAUSE_SECONDS)

    def _count_error(self, why: str) -> None:
        self.tally.errors[why] = self.tally.errors.get(why, 0) + 1
        self._outstanding -= 1
        self._end_if_over()

    def _end_if_over(self) -> None:
        if self._exhausted and self._outstanding == 0 and self._over is not None and not self._over.done():
            self.tally.ended = perf_counter()
            self._over.set_result(None)

    def _break(self, error: BaseException) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_exception(error)

    def _replace(self, line: "_Line", pause_seconds: float) -> None:
        self._lines.discard(line)
        self._idle.discard(line)
        if self._over is not None and not self._over.done():
            self._tasks.start(self._connect(pause_seconds))

    async def _connect(self, pause_seconds: float) -> None:
        """Get a connection, however often it takes; each failure is one request's failure, if one is due."""
        while True:
            await asyncio.sleep(pause_seconds)
            try:
                line = await connect(self._line, self._target, self._timeout_seconds, trust=self._trust)
            except OSError as error:
                self._lose_one(f"could not connect: {error.strerror or type(error).__name__}")
            else:
                if line.is_open:
                    self._lines.add(line)
                    self._free(line, perf_counter())
                    self._tried()
                    return
            self._tried()
            pause_seconds = min(max(pause_seconds * 2, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)

    def _tried(self) -> None:
        self._untried -= 1
        if self._untried == 0:
            self._at_the_door.set()

    def _line(self) -> "_Line":
        return _Line(self._answered, self._failed, self._idled_out)

    def _lose_one(self, why: str) -> None:
        if self._arrivals is not None:
            if self._waiting:
                self._waiting.popleft()
                self._count_error(why)
        elif self._exhausted or next(self._requests, None) is None:
            self._exhausted = True
            self._end_if_over()
        else:
            self._outstanding += 1
            self._count_error(why)

    async def _let_arrive(self, arrivals: Iterator[float]) -> None:
        """Bring each request at its time to an idle connection, or have it wait for one."""
        await self._at_the_door.wait()
        began = self.tally.began = perf_counter()
        for count, offset in enumerate(arrivals):
            if count % _ARRIVALS_AT_ONCE == 0:
                await asyncio.sleep(0)
            due = began + offset
            early = due - perf_counter()
            if early > 0:
                await asyncio.sleep(max(_TICK_SECONDS, early))
            request = None if self._exhausted else next(self._requests, None)
            if request is None:
                break
            self._outstanding += 1
            if self._idle:
                now = perf_counter()
                self._idle.pop().ask(request, min(due, now), now)
            else:
                self._waiting.append((request, due))
        self._exhausted = True
        self._end_if_over()

    async def _look_for_timeouts(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_FOR_TIMEOUTS_SECONDS)
            oldest = perf_counter() - self._timeout_seconds
            for line in [line for line in self._lines if line.in_flight and line.sent < oldest]:
                line.give_up(f"no answer in {self._timeout_seconds:g} s")


class _Line(Connection):
    """One of the load's connections."""

    def __init__(
        self,
        on_answer: Callable[["_Line", ClientResponse], None],
        on_failure: Callable[["_Line", str], None],
        on_idling_out: Callable[["_Line"], None],
    ) -> None:
        super().__init__()
        self._on_answer = on_answer
        self._on_failure = on_failure
        self._on_idling_out = on_idling_out
        self.arrived = 0.0
        self.sent = 0.0

    def ask(self, request: bytes, arrived: float, now: float) -> None:
        self.arrived = arrived
        self.sent = now
        self.send(request)

    def answered(self, answer: ClientResponse) -> None:
        self._on_answer(self, answer)

    def failed(self, why: str) -> None:
        self._on_failure(self, why)

    def idled_out(self) -> None:
        self._on_idling_out(self)
