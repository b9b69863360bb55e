"""All connections that are open: what they share, their limits, and the patrol that closes those that take too long."""

import asyncio
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple, Protocol

from cludale.web.kept_answers import KeptAnswers
from cludale.web.metrics import RequestCounts
from cludale.web.problems import Problems
from cludale.web.responses import HTML, JSON, PROBLEM
from cludale.web.router import Found

PATROL_SECONDS = 1.0
STOP_LOOK_SECONDS = 0.02
NO_BODY = (204, 304)
"""Statuses that come without a body, and without a length of one."""
HEARTBEAT_SECONDS = 15.0
"""After so long without an event a stream sends a comment, to show that it is still there."""

Find = Callable[[bytes, bytes], Found]
"""Method and target to what answers them."""


class ConnectionLimits(NamedTuple):
    """What one connection may take, and how many there may be."""

    body_bytes: int = 65_536
    connections: int = 4_096
    request_seconds: float = 20
    idle_seconds: float = 65
    streams: int = 1_024
    """Files and the like, each made by a task of its own. They are connections, too."""
    followers: int = 10_000
    """Who follows a feed; beside the other connections."""


class Open(Protocol):
    """One of them."""

    def check_times(self, tick: int) -> None:
        """Close it, if it takes too long by this patrol."""
        ...

    def stop(self) -> None:
        """Take no more requests."""
        ...

    def abort(self) -> None:
        """Close it at once."""
        ...


class Connections:
    """What all connections share: the routes, the limits, and the patrol that enforces the times."""

    def __init__(
        self, find: Find, problems: Problems, limits: ConnectionLimits, *, requests: RequestCounts | None = None
    ) -> None:
        """`requests` counts what is answered again."""
        self.loop = asyncio.get_running_loop()
        self.find = find
        self.problems = problems
        self.limits = limits
        self.refused = 0
        self.tick = 0
        """Patrols so far: the clock of connections. Reading it costs nothing."""
        self.request_ticks = max(1, round(limits.request_seconds / PATROL_SECONDS))
        self.idle_ticks = max(1, round(limits.idle_seconds / PATROL_SECONDS))
        self.tasks: dict[object, asyncio.Task[None]] = {}
        """By request: what answers it, also where its client is gone."""
        self.streams = 0
        self.followers = 0
        self.kept = KeptAnswers((requests or RequestCounts()).again, clock=time.monotonic)
        self.heartbeat_ticks = max(1, round(HEARTBEAT_SECONDS / PATROL_SECONDS))
        self.stopping = False
        self._open: set[Open] = set()
        self._heads: dict[tuple[int, str, bool], bytes] = {}

    def __len__(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    def gauges(self) -> Mapping[str, float]:
        """What the operator watches, by metric name."""
        return {
            "cludale_connections": len(self),
            "cludale_streams": self.streams + self.followers,
            "cludale_refused_at_the_door_total": self.refused,
        }

    def came(self, connection: Open) -> None:
        """A connection was made."""
        self._open.add(connection)

    def went(self, connection: Open) -> None:
        """A connection was lost."""
        self._open.discard(connection)

    async def patrol(self) -> None:
        """Close, every second, the connections that take too long. Runs until it is cancelled."""
        while True:
            await asyncio.sleep(PATROL_SECONDS)
            self.tick += 1
            self._heads.clear()  # they have the time in them
            self.kept.sweep()
            for connection in list(self._open):
                connection.check_times(self.tick)

    async def stop(self, seconds: float, at_once: asyncio.Event) -> None:
        """Take no more requests; those under way are answered and streams ended, within so many seconds or until
        `at_once` is set.
        """
        self.stopping = True
        for connection in list(self._open):
            connection.stop()
        ends = self.loop.time() + seconds
        while (self._open or self.tasks) and self.loop.time() < ends and not at_once.is_set():  # noqa: ASYNC110 - rare
            await asyncio.sleep(STOP_LOOK_SECONDS)
        for task in list(self.tasks.values()):
            task.cancel()
        for connection in list(self._open):
            connection.abort()

    def head(self, status: int, media_type: str, *, says_caching: bool = False) -> bytes:
        """Status line and headers as far as the length. JSON is nobody's to keep, unless its headers say so."""
        head = self._heads.get((status, media_type, says_caching))
        if head is None:
            lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"date: {formatdate(usegmt=True)}"]
            if status not in NO_BODY:
                lines += [f"content-type: {media_type}"]
            if media_type != HTML:  # pages say it themselves, among what else guards them
                lines += ["x-content-type-options: nosniff", "content-security-policy: frame-ancestors 'none'"]
            if media_type in (JSON, PROBLEM) and not says_caching:
                lines += ["cache-control: no-store"]
            head = self._heads[status, media_type, says_caching] = "\r\n".join([*lines, ""]).encode()
        return head
