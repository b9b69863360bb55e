"""Readiness: background probes that find out whether each part that this process needs works.

Real work that goes well is proof enough. Where there is none, or some of it fails, the part is asked by a probe: a
little work of the same kind. Only a probe decides, so that one event that can't be stored or published makes nothing
unready; and a part that was found in trouble is probed until it works again. At most one probe of a part is under way.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import Final, NamedTuple

from cludale.ports.clock import Clock
from cludale.runtime.tasks import Tasks

_log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 2.0
"""Seconds between probes of a part that is not in use."""
WHY_LIMIT: Final = 300
"""Characters of a reason that are shown."""


class Pace(NamedTuple):
    """How fast trouble and its end are found, in seconds."""

    look: float = 0.5
    """How often it is looked whether a probe is due."""
    again: float = 1.0
    """How often a part is probed that is in trouble."""
    patience: float = 3.0
    """How long a probe may take before its part counts as in trouble; what comes of it later still counts."""


class Pulse:
    """Recent results of real work, recorded by the code that does it."""

    __slots__ = ("failures", "worked_at")

    def __init__(self) -> None:
        self.worked_at = float("-inf")
        """When work last went well, by the monotonic clock."""
        self.failures = 0

    def worked(self) -> None:
        """Some work went well."""
        self.worked_at = monotonic()

    def failed(self) -> None:
        """Some work failed, perhaps because of this part."""
        self.failures += 1


class Dependency(NamedTuple):
    """Something that this process needs."""

    name: str
    """For the metric: `store`."""
    trouble: str
    """What is said when the probe fails, the reason follows: `The store takes no writes`."""
    stops: str
    """What can't be done then, as a sentence."""
    pulse: Pulse
    probe: Callable[[], Awaitable[None]]
    """The probe: a small piece of work. Raises on failure; the error's text is the reason."""
    idle_seconds: float = IDLE_SECONDS
    is_shared: bool = True
    """Do other replicas need the same one?"""


class Trouble(NamedTuple):
    """What does not work."""

    part: str
    detail: str
    since: datetime
    is_shared: bool
    """Do other replicas have the same trouble?"""


class Readiness:
    """Watches parts. Used from one event loop."""

    def __init__(self, clock: Clock, pace: Pace = Pace()) -> None:  # noqa: B008 - a tuple of numbers
        self._clock = clock
        self._pace = pace
        self._watches: list[_Watch] = []
        self._tasks = Tasks(lambda error: _log.critical("a part is watched no more: %r", error, exc_info=error))

    def watch(self, part: Dependency) -> None:
        """Watch this one from now on; it counts as working until its first probe."""
        watch = _Watch(part, self._clock, self._pace)
        self._watches.append(watch)
        self._tasks.start(watch.run())

    async def stop(self) -> None:
        """Watch nothing any more."""
        await self._tasks.stop()

    @property
    def troubles(self) -> Sequence[Trouble]:
        """What does not work now."""
        return [watch.trouble for watch in self._watches if watch.trouble is not None]

    def gauges(self) -> Mapping[str, float]:
        """1 for each part that works, 0 for one in trouble."""
        return {
            f'cludale_part_ready{{part="{watch.part.name}"}}': float(watch.trouble is None) for watch in self._watches
        }


class _Watch:
    """One part, and what is known of it."""

    def __init__(self, part: Dependency, clock: Clock, pace: Pace) -> None:
        self.part = part
        self._pace = pace
        self.trouble: Trouble | None = None
        self._clock = clock
        self._began = 0.0
        self._asked_at = monotonic()
        self._failures = part.pulse.failures
        self._probe: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Watch for ever."""
        try:
            while True:
                await asyncio.sleep(self._pace.look)
                if self._is_due():
                    await self._ask()
        finally:
            if self._probe is not None:
                self._probe.cancel()
                await asyncio.gather(self._probe, return_exceptions=True)

    def _is_due(self) -> bool:
        now, pulse = monotonic(), self.part.pulse
        has_failed, self._failures = pulse.failures != self._failures, pulse.failures
        if self._probe is not None and self._probe.done():
            return True
        if self.trouble is not None:
            return now - self._asked_at >= self._pace.again
        return has_failed or now - max(pulse.worked_at, self._asked_at) >= self.part.idle_seconds

    async def _ask(self) -> None:
        if self._probe is None:
            self._asked_at = monotonic()
            self._probe = asyncio.ensure_future(self.part.probe())
        await asyncio.wait([self._probe], timeout=self._pace.patience)
        if not self._probe.done():
            # A part that does much is not in trouble because a probe waits its turn.
            if self.trouble is None and self.part.pulse.worked_at < self._asked_at:
                self._found(f"no answer in {self._pace.patience:g} s")
            return
        probe, self._probe = self._probe, None
        if probe.cancelled():
            return  # what it asked is being stopped, and told nothing
        error = probe.exception()
        if error is not None:
            self._found(str(error) or type(error).__name__)
        elif self.trouble is not None:
            self.trouble = None
            _log.warning("%s works again, after %.1f s", self.part.name, monotonic() - self._began)

    def _found(self, why: str) -> None:
        detail = f"{self.part.trouble}: {why[:WHY_LIMIT]}. {self.part.stops}"
        if self.trouble is None:
            self._began = monotonic()
            self.trouble = Trouble(self.part.name, detail, self._clock.now(), self.part.is_shared)
            _log.error("not ready. %s", detail)
        else:
            self.trouble = self.trouble._replace(detail=detail)
