"""Sweeper: runs each service's due work at an interval. A late sweep delays work and breaks nothing."""

import logging
from collections.abc import Awaitable, Callable, Mapping

from cludale.ports.clock import Clock

_log = logging.getLogger(__name__)

Sweep = Callable[[], Awaitable[int]]
"""Does what is due; returns how much that was."""


class Sweeper:
    """Runs each service's sweep every `every_seconds`, one after another."""

    def __init__(
        self,
        sweeps: Mapping[str, Sweep],
        *,
        every_seconds: float,
        clock: Clock,
        takes_work: Callable[[], bool] = lambda: True,
    ) -> None:
        """Nothing is swept while `takes_work` returns False."""
        self._sweeps = sweeps
        self._every_seconds = every_seconds
        self._clock = clock
        self._takes_work = takes_work

    async def run(self) -> None:
        """Sweep now, for what an earlier run left, and then every so often, until cancelled; due work stays due."""
        while True:
            for name, sweep in self._sweeps.items() if self._takes_work() else ():
                try:
                    await sweep()
                except Exception as error:  # noqa: BLE001 - one service's trouble must not keep the others' from being swept
                    _log.warning("sweep of %s: %s; again in %s s", name, error, self._every_seconds, exc_info=error)
            await self._clock.sleep(self._every_seconds)
