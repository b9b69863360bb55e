"""Looks at the reservations of claims: whether a claim still has seats is for its reservation alone to say."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from cludale.kernel.events import Cause
from cludale.ports.records import Key
from cludale.runtime.aggregates import Updates
from cludale.services.concerts.buyers.domain import Claim
from cludale.services.concerts.commands import QueuedCommand, Result
from cludale.services.concerts.concert import Concert
from cludale.services.concerts.domain import Expire
from cludale.services.concerts.stock import Reservation, Status
from cludale.services.concerts.store import RESERVATIONS, SectionKey

Run = Callable[[SectionKey, Sequence[QueuedCommand]], Awaitable[Sequence[Result]]]
"""Puts commands into a section's queue."""


class Looks:
    """At reservations, wherever they are."""

    def __init__(
        self,
        updates: Updates,
        concert: Callable[[str], Awaitable[Concert]],
        run: Run,
        *,
        partitions_apart: bool,
    ) -> None:
        """`partitions_apart`: a record is found in its own partition only."""
        self._updates = updates
        self._concert = concert
        self._run = run
        self._partitions_apart = partitions_apart

    async def at(self, claims: Mapping[str, Claim]) -> dict[str, Reservation]:
        """The reservations that there are of these claims."""
        keys: list[Key] = []
        for id, claim in claims.items():
            sections = (await self._concert(claim.concert_id)).sections
            where = sections if self._partitions_apart else sections[:1]
            keys += [Key(SectionKey(claim.concert_id, section.id).partition, id) for section in where]
        stored = await self._updates.records.get(RESERVATIONS.kind, keys) if keys else {}
        return {id: RESERVATIONS.decode(each.body) for id, each in stored.items()}

    async def as_ended(self, claims: Mapping[str, Claim], now: datetime) -> dict[str, Reservation]:
        """The same, those whose time is over as they will be stored once somebody comes to them. Writes nothing."""
        found = await self.at(claims)
        return {
            id: each if each.status is not Status.HELD or each.is_live(now) else replace(each, status=Status.RELEASED)
            for id, each in found.items()
        }

    async def ended(self, claims: Mapping[str, Claim]) -> dict[str, Reservation]:
        """The same, once the end of those is stored whose time is over."""
        found = await self.at(claims)
        await self._end(found.values())
        return found | await self.at({id: claims[id] for id, each in found.items() if each.status is Status.HELD})

    async def _end(self, reservations: Iterable[Reservation]) -> None:
        """Store the end of the holds whose time is over: from then on nobody can sell them."""
        now = self._updates.clock.now()
        for each in reservations:
            if each.status is Status.HELD and not each.is_live(now):
                key = SectionKey(each.concert_id, each.section)
                await self._run(key, (QueuedCommand(Expire(each.id), Cause()),))
