"""`PostgresReader`: what the services keep in a database, for tools: beside running services or without them.

Each kind is read from the schema that has it, whether services stand apart or share one. Nothing is written.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Self

from cludale.adapters.postgres import queries
from cludale.adapters.postgres.connection import Connection, ReadingConnection, SessionLimits, connect
from cludale.adapters.postgres.schema import Table, checked_schema
from cludale.adapters.postgres.values import encoded_text
from cludale.ports.records import Key, Kind, Page, Query, SchemaRefused, Stored

_LIMITS: Final = SessionLimits(statement=60.0)
_READ_ONLY: Final = {"default_transaction_read_only": "on"}
_STORES: Final = (
    "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN "
    "(SELECT schemaname FROM pg_tables WHERE tablename = 'replica' INTERSECT "
    "SELECT schemaname FROM pg_tables WHERE tablename = 'migration') ORDER BY schemaname"
)


class PostgresReader:
    """Records, for reading only. A kind that no schema has is empty; one that several have is refused."""

    def __init__(self, line: ReadingConnection, tables: Mapping[Kind, Table]) -> None:
        self._line = line
        self._tables = tables

    @classmethod
    async def open(cls, url: str, kinds: Iterable[Kind]) -> Self:
        """Raises StoreUnavailable, SchemaRefused where there is no store, or more than one of a kind."""

        async def connected() -> Connection:
            return await connect(url, _LIMITS, name="cludale tool", settings=_READ_ONLY)

        line = ReadingConnection(connected)
        try:
            found = await line.read(lambda connection: connection.fetch(_STORES))
            return cls(line, _tables([(row["schemaname"], row["tablename"]) for row in found], kinds))
        except BaseException:
            await line.close()
            raise

    def has(self, kind: Kind) -> bool:
        """Does a schema here have this kind?"""
        return kind in self._tables

    def schema_of(self, kind: Kind) -> str | None:
        """The schema that has this kind."""
        return self._tables[kind].schema if kind in self._tables else None

    async def get(self, kind: Kind, keys: Sequence[Key]) -> Mapping[str, Stored]:
        """Those of the records that exist, by id."""
        table = self._tables.get(kind)
        if table is None or not keys:
            return {}
        ids = [encoded_text(key.id) for key in keys]
        rows = await self._line.read(lambda connection: connection.fetch(table.read, ids))
        return {each.id: each for each in map(queries.stored, rows)}

    async def find(self, kind: Kind, query: Query) -> Page:
        """A page of the records that match. Raises UnusableCursor; ValueError for a field that is not indexed."""
        table = self._tables.get(kind)
        if table is None:
            return Page((), None)
        question = queries.Question(table, query)
        return await self._line.read(lambda connection: queries.find(connection, question))

    async def close(self) -> None:
        """Close the connection."""
        await self._line.close()


def _tables(found: Sequence[tuple[str, str]], kinds: Iterable[Kind]) -> Mapping[Kind, Table]:
    """Where each kind is."""
    if not found:
        raise SchemaRefused("there is no store of Cludale's in the database")
    tables = {}
    for kind in kinds:
        schemas = [schema for schema, table in found if table == f"{kind.service}_{kind.name}"]
        if len(schemas) > 1 and kind.service not in schemas and "cludale" not in schemas:
            continue  # a kind that every service keeps for itself: there is no one place for it
        if {kind.service, "cludale"} <= set(schemas):
            raise SchemaRefused(
                f"{kind.name} of {kind.service} stands in several schemas ({', '.join(schemas)}): "
                "the services have run together and apart over this database"
            )
        if schemas:
            tables[kind] = Table(kind, checked_schema(schemas[0]))
    return tables
