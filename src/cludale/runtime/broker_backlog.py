"""How many events a broker has for a service that the service has not answered, as of the last look.

Dapr's API has no such number, so the broker itself is asked, beside the sidecar, once for each step of the figures.
"""

import asyncio
import logging
from collections.abc import Mapping

from cludale.ports.broker_monitor import BrokerMonitor, NotKnown
from cludale.runtime.tasks import Tasks

LOOK_SECONDS = 5.0

_log = logging.getLogger(__name__)


class BrokerBacklog:
    """The events that wait for one service."""

    def __init__(self, monitor: BrokerMonitor) -> None:
        self._monitor = monitor
        self._waiting: int | None = None
        self._is_known_away = False
        self._tasks = Tasks(lambda error: _log.critical("the broker is asked no more: %r", error, exc_info=error))

    def gauges(self) -> Mapping[str, float]:
        """Nothing while it is not known."""
        return {} if self._waiting is None else {"cludale_broker_waiting": self._waiting}

    def start(self) -> None:
        """Begin to look."""
        self._tasks.start(self._run())

    async def stop(self) -> None:
        """Look no more."""
        await self._tasks.stop()
        await self._monitor.close()

    async def _run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Ask once. What can't be asked is not known, and said once."""
        try:
            self._waiting = await self._monitor.waiting()
            self._is_known_away = False
        except NotKnown as error:
            if not self._is_known_away:
                _log.warning("how many events wait at the broker is not known: %s", error)
            self._waiting, self._is_known_away = None, True
