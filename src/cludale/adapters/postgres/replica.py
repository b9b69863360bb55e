"""A replica's place in the store: its number, its lease, and what tells an older connection from the one in use.

A replica owns the events that it committed. It names its place and epoch with each batch. Who takes the place anew,
after a connection broke, or takes over what a dead replica left, raises the epoch: a batch that is still on its way
over an older connection then finds its place taken and writes nothing.
"""
# ruff: noqa: S608 - the schema's name was checked, values are always bound

from typing import NamedTuple

from cludale.adapters.postgres.connection import Connection
from cludale.ports.outbox import Outgoing

LEASE_SECONDS = 6.0
"""For how long nobody else takes what a replica owns, since its last batch."""
RENEW_SECONDS = 1.5
"""How often the lease is renewed where no batch does it, and how often gone replicas are looked for."""
STRUCK_OFF_SECONDS = 3_600.0
"""How long after its lease a replica that left nothing is forgotten."""
TAKE_LIMIT = 2_000
"""How many events are taken over in one step, and those besides that share a row with the last of them."""


class ReplicaPlace(NamedTuple):
    """Who we are in the store."""

    owner: int
    epoch: int
    batch: int
    """The last batch that was written from this place."""


class Register:
    """The replicas of one schema."""

    def __init__(self, schema: str) -> None:
        self._enter = (
            f"INSERT INTO {schema}.replica (id, epoch, expires) "
            f"VALUES (nextval('{schema}.replica_id'), 1, clock_timestamp() + $1 * interval '1 second') "
            "RETURNING id, epoch, batch"
        )
        # Waits for a batch that is being written from here: the row is the first thing that a batch locks.
        self._again = (
            f"UPDATE {schema}.replica SET epoch = epoch + 1, expires = clock_timestamp() + $2 * interval '1 second' "
            "WHERE id = $1 RETURNING id, epoch, batch"
        )
        self._leave = f"UPDATE {schema}.replica SET expires = '-infinity' WHERE id = $1 AND epoch = $2"
        self._gone = (
            f"SELECT id, expires = '-infinity' AS left FROM {schema}.replica AS r "
            f"WHERE expires < clock_timestamp() AND EXISTS (SELECT FROM {schema}.outbox WHERE owner = r.id) LIMIT 1000"
        )
        self._take_over = f"SELECT position, topic, body FROM {schema}.take_over($1, $2, $3, $4, $5)"
        self._strike_off = f"SELECT {schema}.strike_off($1)"
        self._block = f"SELECT nextval('{schema}.position_block')"

    async def enter(self, connection: Connection) -> ReplicaPlace:
        """Take a new place."""
        return ReplicaPlace(*await connection.fetchrow(self._enter, LEASE_SECONDS))

    async def enter_again(self, connection: Connection, place: ReplicaPlace) -> ReplicaPlace | None:
        """Take this place anew; None if it was given up meanwhile."""
        row = await connection.fetchrow(self._again, place.owner, LEASE_SECONDS)
        return None if row is None else ReplicaPlace(*row)

    async def leave(self, connection: Connection, place: ReplicaPlace) -> None:
        """Let others have what is left at once."""
        await connection.execute(self._leave, place.owner, place.epoch)

    async def gone(self, connection: Connection) -> dict[int, bool]:
        """Replicas that left events behind, by number: did they say good-bye, or has their lease run out?"""
        return {row["id"]: row["left"] for row in await connection.fetch(self._gone)}

    async def take_over(
        self, connection: Connection, place: ReplicaPlace, gone: list[int], base: int | None
    ) -> list[Outgoing]:
        """Events of these replicas that are ours now, in order; under new positions after `base`, if there is one."""
        rows = await connection.fetch(self._take_over, place.owner, place.epoch, gone, base, TAKE_LIMIT)
        return [Outgoing(*row) for row in rows]

    async def strike_off(self, connection: Connection) -> None:
        """Forget replicas that are gone and left nothing."""
        await connection.execute(self._strike_off, STRUCK_OFF_SECONDS)

    async def block(self, connection: Connection) -> int:
        """The first of a block of positions for us alone."""
        first: int = await connection.fetchval(self._block)
        return first
