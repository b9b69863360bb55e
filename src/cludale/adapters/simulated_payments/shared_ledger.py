"""A ledger in PostgreSQL, for payments in several processes: in a schema and over a connection of its own.

It is the world outside: it takes no part in our transactions. Unlike the file's it has to be durable, for the server
that keeps it may be killed with everything else.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import asyncpg

from cludale.adapters.simulated_payments.ledger import Change, LedgerBroken, LedgerPage
from cludale.adapters.simulated_payments.rules import LedgerRow

Result = TypeVar("Result")

_BROKEN: Final = asyncpg.InternalClientError
"""What a call may meet on a connection that was broken a moment ago."""
SECONDS: Final = 5.0
"""How long anything may take."""
_COLUMNS: Final = ", ".join(LedgerRow._fields)
_TYPES: Final = (
    "text",
    "bigint",
    "text",
    "text",
    "bigint",
    "bigint",
    "bigint",
    "bigint",
    "bool",
    "bool",
    "text",
    "bigint",
)
_ROWS: Final = f"SELECT * FROM unnest({', '.join(f'${n}::{type}[]' for n, type in enumerate(_TYPES, 1))})"  # noqa: S608 - our own
_INSERT: Final = f"INSERT INTO provider.charge ({_COLUMNS}) {_ROWS}"
_CHANGED: Final = ", ".join(f"{field} = excluded.{field}" for field in LedgerRow._fields[1:])
_REPLACE: Final = f"{_INSERT} ON CONFLICT (key) DO UPDATE SET {_CHANGED}"
_SELECT: Final = f"SELECT {_COLUMNS} FROM provider.charge WHERE key = ANY($1)"  # noqa: S608 - names of our own columns
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM provider.charge WHERE key > $1 AND at >= $2 AND at < $3 ORDER BY key LIMIT $4
"""  # noqa: S608 - names of our own columns
_MAKE: Final = f"""
    SELECT pg_advisory_xact_lock(hashtextextended('cludale provider', 0));
    CREATE SCHEMA IF NOT EXISTS provider;
    CREATE TABLE IF NOT EXISTS provider.charge (
      {", ".join(f"{field} {type}" for field, type in list(zip(LedgerRow._fields, _TYPES, strict=True))[:-2])},
      PRIMARY KEY (key));
    ALTER TABLE provider.charge ADD COLUMN IF NOT EXISTS parts text NOT NULL DEFAULT '';
    ALTER TABLE provider.charge ADD COLUMN IF NOT EXISTS at bigint NOT NULL DEFAULT 0;
"""
_IS_MADE: Final = (
    "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('provider.charge') AND attname = 'at')"
)
"""The column that came last."""
_SERVE: Final = """
    GRANT USAGE ON SCHEMA provider TO {role};
    GRANT SELECT, INSERT, UPDATE ON provider.charge TO {role};
"""


async def make(connection: asyncpg.Connection) -> None:
    """Make the table as it is now, unless it is there. Raises whatever the server raises."""
    if not await connection.fetchval(_IS_MADE):
        async with connection.transaction():
            await connection.execute(_MAKE)


async def let_use(connection: asyncpg.Connection, role: str) -> None:
    """Make the table, and let this role read and write it. Raises whatever the server raises."""
    await make(connection)
    await connection.execute(_SERVE.format(role=role))


class SharedLedger:
    """The rows of the table `provider.charge`. The connection is made when it is needed, and anew when it broke."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection | None = None
        self._is_made = False
        self._is_closed = False

    async def insert_all(self, rows: Sequence[LedgerRow]) -> bool:
        """Write rows under keys that are all new, in one transaction. False if one isn't; then none is written."""

        async def insert(connection: asyncpg.Connection) -> bool:
            try:
                await connection.execute(_INSERT, *zip(*rows, strict=True))
            except asyncpg.UniqueViolationError:
                return False
            return True

        return await self._done(insert)

    async def change_all(self, changes: Sequence[tuple[str, Change]]) -> None:
        """Put what each change makes of the row under its key, in order, in one transaction. Each is called once."""

        async def change_each(connection: asyncpg.Connection) -> None:
            async with connection.transaction():
                # A key that is not there yet can't be locked, so it is the table.
                await connection.execute("LOCK TABLE provider.charge IN SHARE ROW EXCLUSIVE MODE")
                found = await connection.fetch(_SELECT, list({key for key, _ in changes}))
                rows = {row["key"]: LedgerRow(*row) for row in found}
                changed = {}
                for key, change in changes:
                    after = change(rows.get(key))
                    if after is not None:
                        rows[key] = changed[key] = after
                if changed:
                    await connection.execute(_REPLACE, *zip(*changed.values(), strict=True))

        await self._done(change_each)

    async def page(self, since: int, until: int, *, after: str | None, limit: int) -> LedgerPage:
        """A page of the rows that began in that time, by key."""
        found = await self._done(lambda connection: connection.fetch(_PAGE, after or "", since, until, limit))
        rows = [LedgerRow(*row) for row in found]
        return LedgerPage(rows, rows[-1].key if len(rows) == limit else None)

    async def rows(self, keys: Sequence[str]) -> Sequence[LedgerRow]:
        """The rows with these keys, as far as they exist."""
        found = await self._done(lambda connection: connection.fetch(_SELECT, list(keys)))
        return [LedgerRow(*row) for row in found]

    async def close(self) -> None:
        """Close the connection."""
        self._is_closed = True
        if self._connection is not None and not self._connection.is_closed():
            with suppress(Exception):
                await self._connection.close(timeout=1)
        self._drop()

    async def _done(self, job: Callable[[asyncpg.Connection], Awaitable[Result]]) -> Result:
        if self._is_closed:
            raise LedgerBroken("the ledger is closed")
        try:
            async with asyncio.timeout(2 * SECONDS):
                if self._connection is None or self._connection.is_closed():
                    self._connection = await self._connected()
                return await job(self._connection)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, _BROKEN) as error:
            self._drop()
            raise LedgerBroken(f"PostgreSQL: {str(error) or type(error).__name__}") from error
        except BaseException:
            self._drop()
            raise

    async def _connected(self) -> asyncpg.Connection:
        connection = await asyncpg.connect(
            self._url,
            timeout=SECONDS,
            command_timeout=SECONDS,
            server_settings={
                "application_name": "cludale simulated provider",
                "synchronous_commit": "on",
                "statement_timeout": f"{int(SECONDS * 1000)}",
                "idle_in_transaction_session_timeout": f"{int(SECONDS * 1000)}",
            },
        )
        try:
            if not self._is_made:
                await make(connection)
                self._is_made = True
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            connection.terminate()
