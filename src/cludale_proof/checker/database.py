"""A PostgreSQL database as a snapshot: the schemas of the services and the simulated provider's, at one instant.

All of it is read in one transaction, beside running services or without them. What a broker holds between services
that stand apart can't be seen from here, so only a platform at rest can be checked then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import asyncpg

from cludale_proof.checker.data_folder import Unopenable
from cludale_proof.checker.documents import Body, Kind
from cludale_proof.checker.ledger import LedgerLine
from cludale_proof.checker.snapshot import Row

Result = TypeVar("Result")

_SCHEMA_VERSION: Final = 1
_CONNECT_SECONDS: Final = 10.0
_STATEMENT_SECONDS: Final = 120.0
_ROWS: Final = 2_000
_TABLES: Final = {kind: kind.value.replace("/", "_") for kind in Kind}
_OWN: Final = {"migration", "outbox", "replica"}
"""What makes a schema a store, whatever kinds it keeps."""
_LEDGER: Final = ("provider", "charge")


class Database:
    """The stores in a database at one instant. Use it as a context. Raises Unopenable, also while reading."""

    def __init__(self, url: str, *, quiet: bool) -> None:
        """`quiet`: nothing is under way, so nothing is on its way through a broker either."""
        self._runner = asyncio.Runner()
        self._connection: asyncpg.Connection | None = None
        self._tables: set[tuple[str, str]] = set()
        self._schemas: list[str] = []
        try:
            self._open(url)
            self._find_stores(quiet=quiet)
        except BaseException:
            self._close()
            raise

    def _open(self, url: str) -> None:
        async def connect() -> asyncpg.Connection:
            return await asyncpg.connect(
                url,
                timeout=_CONNECT_SECONDS,
                command_timeout=_STATEMENT_SECONDS,
                server_settings={"application_name": "cludale check", "default_transaction_read_only": "on"},
            )

        self._connection = self._run(connect)
        self._run(lambda: self._opened.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))

    def _find_stores(self, *, quiet: bool) -> None:
        found = self._run(
            lambda: self._opened.fetch("SELECT schemaname, tablename FROM pg_tables WHERE schemaname !~ '^pg_'")
        )
        self._tables = {(row[0], row[1]) for row in found}
        schemas = {schema for schema, _ in self._tables}
        self._schemas = sorted(each for each in schemas if all((each, table) in self._tables for table in _OWN))
        if not self._schemas:
            raise Unopenable("there is no store of Cludale's in the database")
        if not any(self._places(_TABLES[Kind.AUDIT_ENTRY])):
            raise Unopenable(
                "the audit log is not in the database; with CLUDALE_AUDIT_STATE it is in a Dapr state store, which "
                "can't be read from here, and without it nothing can be judged"
            )
        for schema in self._schemas:
            (version,) = next(self._select(f'SELECT max(number) FROM "{schema}".migration'))  # noqa: S608 - the server's
            if version != _SCHEMA_VERSION:
                raise Unopenable(f"the schema {schema} has version {version}, which this program doesn't know")
        if len(self._schemas) > 1 and not quiet:
            raise Unopenable(
                f"the services stand apart ({', '.join(self._schemas)}), and what the broker between them holds "
                "can't be seen from here: let everything come to rest, and say so with --quiet"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._runner.close()

    def rows(self, kind: Kind) -> Iterator[Row]:
        """The records of a kind in the order in which they came."""
        for table in self._places(_TABLES[kind]):
            for id, version, body in self._select(f"SELECT id, version, body FROM {table} ORDER BY n"):  # noqa: S608 - ours
                yield Row(_plain(id), version, body)

    def outbox(self) -> Iterator[Body]:
        """The events that wait in the outboxes."""
        for table in self._places("outbox"):
            sql = (
                "SELECT e.body FROM (SELECT owner, position, array_append(earlier, body) AS bodies "  # noqa: S608 - ours
                f"FROM {self._packed(table)}) AS o, unnest(o.bodies) WITH ORDINALITY AS e(body, at) "
                "ORDER BY o.owner, o.position, e.at"
            )
            for (body,) in self._select(sql):
                yield body

    def _packed(self, table: str) -> str:
        """An outbox whose rows may hold several events; in a store of earlier releases none does."""
        sql = f"SELECT FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attname = 'earlier'"
        is_packed = any(True for _ in self._select(sql))
        return table if is_packed else f"(SELECT *, NULL::bytea[] AS earlier FROM {table}) AS older"  # noqa: S608 - ours

    def ledger(self) -> Iterable[LedgerLine] | None:
        """The simulated provider's ledger, at the same instant."""
        return self._lines() if _LEDGER in self._tables else None

    def _lines(self) -> Iterator[LedgerLine]:
        for key, captured, refunded, charges in self._select(
            "SELECT key, captured, refunded, charges FROM provider.charge"
        ):
            yield LedgerLine(key=key, captured=captured, refunded=refunded, charges=charges)

    def committed_events(self) -> int | None:
        """Every replica counts what it commits."""
        return sum(
            int(count)
            for table in self._places("replica")
            for (count,) in self._select(f"SELECT coalesce(sum(events), 0) FROM {table}")  # noqa: S608 - ours
        )

    def size(self) -> int:
        """By the last number of each table, which costs nothing; numbers that were never used count too."""
        return sum(
            last or 0
            for name in _TABLES.values()
            for table in self._places(name)
            for (last,) in self._select(f"SELECT max(n) FROM {table}")  # noqa: S608 - ours
        )

    @property
    def _opened(self) -> asyncpg.Connection:
        if self._connection is None:
            raise Unopenable("the database is closed")
        return self._connection

    def _places(self, table: str) -> Iterator[str]:
        return (f'"{schema}"."{table}"' for schema in self._schemas if (schema, table) in self._tables)

    def _select(self, sql: str) -> Iterator[tuple[Any, ...]]:
        async def opened() -> Any:
            return await self._opened.cursor(sql)

        cursor = self._run(opened)
        while rows := self._run(lambda: cursor.fetch(_ROWS)):
            yield from map(tuple, rows)

    def _run(self, job: Callable[[], Awaitable[Result]]) -> Result:
        async def run() -> Result:
            return await job()

        try:
            return self._runner.run(run())
        except (OSError, TimeoutError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise Unopenable(f"PostgreSQL: {str(error) or type(error).__name__}") from error


def _plain(id: str) -> str:
    """Stores spell the two lowest characters in two."""
    return id if "\x01" not in id else id.replace("\x01A", "").replace("\x01B", "\x00").replace("\x01C", "\x01")
