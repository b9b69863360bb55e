"""Leases: which replica publishes whose outbox items. So a dead replica's events are published by another.

Each replica owns the outbox items that it commits, and says every few seconds that it lives by writing its lease
document. Another that has seen the same ETag for the whole lease time, on its own clock, takes the lease over, by that
ETag, so that one of many gets it. No two machines' clocks are compared. A replica that was only slow takes its lease
back; until it knows, both publish the same events, and at least once is all that was promised.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any

from cludale.adapters.cosmos.account import Account, Refused
from cludale.adapters.cosmos.documents import LEASES
from cludale.adapters.cosmos.planning import Create, Delete, Replace
from cludale.ports.records import StoreUnavailable
from cludale.runtime.readiness import Pulse
from cludale.runtime.tasks import Tasks

_log = logging.getLogger(__name__)

_ALL = "SELECT * FROM c WHERE c.pk = @pk"
_ANY_LEFT = "SELECT TOP 1 c.id FROM c WHERE c.kind = @kind AND c.owner = @owner"
_NOBODY = ""
"""The holder of a lease that its replica gave up: to be had at once."""
LEASE_SECONDS = 15.0
"""How long a replica may be silent before another takes its events over."""


class Leases:
    """The leases that this replica holds: its own, and those of replicas that are gone."""

    def __init__(
        self,
        account: Account,
        replica: str,
        *,
        lease_seconds: float = LEASE_SECONDS,
        pulse: Pulse | None = None,
    ) -> None:
        """`pulse` is told what became of each renewal, which is a write as good as any."""
        self._pulse = pulse or Pulse()
        self._turn = asyncio.Lock()
        self._account = account
        self._replica = replica
        self._lease_seconds = lease_seconds
        self._clock = asyncio.get_running_loop().time
        self._seen: dict[str, tuple[str, float]] = {}
        """By lease: its ETag, and when it was first seen."""
        self._beats = 0
        self._tasks = Tasks(lambda error: _log.critical("leases are renewed no more: %r", error, exc_info=error))
        self.held: set[str] = {replica}
        """The replicas whose outbox items are published here."""

    async def start(self) -> None:
        """Take out a lease and keep it. Raises StoreUnavailable."""
        await self.renew()
        self._tasks.start(self._run())

    async def stop(self, *, has_events: bool) -> None:
        """Give the leases up: another replica may have them at once, if there is anything left to publish."""
        await self._tasks.stop()
        try:
            for lease in await self._leases():
                if lease["holder"] == self._replica:
                    if has_events or lease["replica"] != self._replica:
                        await self._write(lease, holder=_NOBODY)
                    else:
                        await self._remove(lease)
        except StoreUnavailable as away:
            _log.warning("leases can't be given up, so they run out: %s", away)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 4)
            try:
                await self.renew()
            except StoreUnavailable as away:
                _log.warning("leases can't be renewed: %s", away)

    async def renew(self) -> None:
        """Renew what is held, and take over what has run out. Raises StoreUnavailable."""
        try:
            async with self._turn:
                await self._beat()
        except StoreUnavailable:
            self._pulse.failed()
            raise
        self._pulse.worked()

    async def _beat(self) -> None:
        """Renew what is held, and take over what has run out."""
        self._beats += 1
        leases = {lease["replica"]: lease for lease in await self._leases()}
        held = {self._replica}
        if self._replica not in leases:
            await self._create()
        now = self._clock()
        for replica, lease in leases.items():
            if replica == self._replica or lease["holder"] == self._replica:
                if replica != self._replica and not await self._any_left(replica):
                    await self._remove(lease)
                elif await self._write(lease, holder=self._replica):
                    held.add(replica)
            elif self._has_run_out(replica, lease, now) and await self._write(lease, holder=self._replica):
                _log.warning("replica %s is gone: its events are published here", replica)
                held.add(replica)
        self._seen = {replica: seen for replica, seen in self._seen.items() if replica in leases}
        self.held = held

    def _has_run_out(self, replica: str, lease: dict[str, Any], now: float) -> bool:
        etag, since = self._seen.get(replica, ("", now))
        if etag != lease["_etag"]:
            self._seen[replica] = (lease["_etag"], now)
            since = now
        return lease["holder"] == _NOBODY or now - since >= self._lease_seconds

    async def _leases(self) -> list[dict[str, Any]]:
        return await self._account.query(LEASES, _ALL, {"pk": LEASES})

    async def _any_left(self, replica: str) -> bool:
        return bool(await self._account.query_everywhere(_ANY_LEFT, {"kind": "outbox", "owner": replica}))

    async def _create(self) -> None:
        document = {
            "id": f"lease|{self._replica}",
            "pk": LEASES,
            "replica": self._replica,
            "holder": self._replica,
            "beat": self._beats,
        }
        await self._account.write(LEASES, [Create(document)])

    async def _write(self, lease: dict[str, Any], *, holder: str) -> bool:
        """Write the lease, if it is still as it was read."""
        document = {**lease, "holder": holder, "beat": lease["beat"] + 1}
        try:
            await self._account.write(LEASES, [Replace(document, lease["_etag"])])
        except Refused:
            return False
        return True

    async def _remove(self, lease: dict[str, Any]) -> None:
        with suppress(Refused):  # another did
            await self._account.write(LEASES, [Delete(lease["id"])])
