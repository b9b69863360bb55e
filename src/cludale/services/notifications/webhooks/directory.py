"""The endpoints that there are, in memory: a look at them is at most a second old.

So an event costs one comparison where nobody has an endpoint. Who changes one in this process knows it at once; other
processes know it within a second, so an endpoint's `sure_from` is a little later than its change.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

from cludale.ports.clock import Clock
from cludale.ports.records import Records
from cludale.services.notifications.webhooks.endpoints import Endpoint, Status
from cludale.services.notifications.webhooks.store import ENDPOINTS, all_endpoints

OLDEST = timedelta(seconds=1)


class Directory:
    """All endpoints that are switched on."""

    def __init__(self, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._looking = asyncio.Lock()
        self._looked_at: datetime | None = None
        self._on: Sequence[Endpoint] = ()
        self._changes = 0

    def forget(self) -> None:
        """Endpoints were changed here: read them again the next time."""
        self._changes += 1
        self._looked_at = None

    async def on(self) -> Sequence[Endpoint]:
        """Those that are switched on, as they were a second ago or later. Raises StoreUnavailable."""
        if not self._is_fresh():
            async with self._looking:
                while not self._is_fresh():
                    await self._look()
        return self._on

    def _is_fresh(self) -> bool:
        return self._looked_at is not None and timedelta() <= self._clock.now() - self._looked_at < OLDEST

    async def _look(self) -> None:
        changes, now = self._changes, self._clock.now()
        found: list[Endpoint] = []
        after: str | None = None
        while True:
            here, page = await ENDPOINTS.find(self._records, all_endpoints(after=after))
            found += [each.state for each in here if each.state.status is Status.ON]
            after = page.next
            if after is None:
                break
        self._on = found
        if changes == self._changes:
            self._looked_at = now
