"""Counters of requests that all processes share: a table without a log, in a schema of its own.

An UNLOGGED table: adding to it waits for no disk, and after a crash of the server it is empty.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, TypeVar

import asyncpg

from cludale.adapters.postgres.connection import Connection, ReadingConnection, SessionLimits, connect
from cludale.ports.records import StoreUnavailable
from cludale.ports.request_counts import CountKey, Total, Totals

Result = TypeVar("Result")

LIMITS: Final = SessionLimits(connect=1.0, statement=0.5, lock=0.3, idle_in_transaction=1.0, grace=0.5)
"""Requests wait for an answer, a moment."""

_MAKE: Final = """
    SELECT pg_advisory_xact_lock(hashtextextended('cludale request limits', 0));
    CREATE SCHEMA IF NOT EXISTS request_limits;
    CREATE UNLOGGED TABLE IF NOT EXISTS request_limits.counter (
      policy text COLLATE "C" NOT NULL, period bigint NOT NULL, who bytea NOT NULL, n int NOT NULL,
      PRIMARY KEY (policy, period, who))
      WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
"""
# In one order, or two processes would wait for each other. What the statement adds it does not see itself.
_ADD: Final = """
    WITH added AS (
      INSERT INTO request_limits.counter AS c (policy, period, who, n)
      SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::int[]) ORDER BY 1, 2, 3
      ON CONFLICT (policy, period, who) DO UPDATE SET n = c.n + excluded.n
      RETURNING policy, period, who, n)
    SELECT added.policy, added.period, added.who, added.n, coalesce(earlier.n, 0) AS before,
      (SELECT count(DISTINCT other.who) FROM request_limits.counter AS other
        WHERE other.policy = $5 AND other.period >= $6 - 1 AND other.who <> $7) AS others
    FROM added LEFT JOIN request_limits.counter AS earlier
      ON earlier.policy = added.policy AND earlier.period = added.period - 1 AND earlier.who = added.who
"""
_FORGET: Final = """
    DELETE FROM request_limits.counter AS c USING (
      SELECT counter.ctid FROM request_limits.counter
      JOIN unnest($1::text[], $2::bigint[]) AS old (policy, period)
        ON counter.policy = old.policy AND counter.period < old.period
      FOR UPDATE OF counter SKIP LOCKED) AS gone
    WHERE c.ctid = gone.ctid
"""


async def make(connection: Connection) -> None:
    """Make the table, unless it is there. Raises whatever the server raises."""
    if await connection.fetchval("SELECT to_regclass('request_limits.counter')") is None:
        async with connection.transaction():
            await connection.execute(_MAKE)


class PostgresCounts:
    """`RequestCounts` in the database at `url`, over a connection of its own. Used from one event loop."""

    def __init__(self, url: str, *, limits: SessionLimits = LIMITS) -> None:
        """Connects when it is first used."""
        self._url = url
        self._limits = limits
        self._line = ReadingConnection(self._connect, patience_seconds=0.2)

    async def _connect(self) -> Connection:
        connection = await connect(self._url, self._limits, name="cludale request limits")
        try:
            await make(connection)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def add(self, added: Sequence[tuple[CountKey, int]], process: CountKey) -> Totals:
        """Add, and say what the counters are now. Raises StoreUnavailable."""
        keys = [*(key for key, _ in added), process]
        numbers = [*(number for _, number in added), 1]

        async def job(connection: Connection) -> Totals:
            policies, periods, whos = zip(*keys, strict=True)
            rows = await connection.fetch(_ADD, policies, periods, whos, numbers, *process)
            totals = {CountKey(row[0], row[1], row[2]): Total(row[3], row[4]) for row in rows}
            return Totals(totals, rows[0][5] + 1)

        return await self._done(job)

    async def forget(self, before: Collection[tuple[str, int]]) -> None:
        """Drop what is older. Raises StoreUnavailable."""

        async def job(connection: Connection) -> None:
            await connection.execute(_FORGET, [policy for policy, _ in before], [period for _, period in before])

        await self._done(job)

    async def _done(self, job: Callable[[Connection], Awaitable[Result]]) -> Result:
        try:
            return await self._line.read(job)
        except asyncpg.PostgresError as error:  # a right that this user does not have, a schema of somebody else's
            raise StoreUnavailable(f"PostgreSQL: {error}") from error

    async def close(self) -> None:
        """Close the connection."""
        await self._line.close()
