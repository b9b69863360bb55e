"""The tables and the text of every statement that writes or looks up. No connection handling, no planning.

A kind is a table: `n` is the order in which records came, `body` a blob (a text would be checked and copied at
each turn), an indexed field a column with an index that leaves NULL out. Kinds whose records are written once have
tables of another form (`packed_table`).
"""
# ruff: noqa: S608 - names of tables and columns are checked (runtime/table_names.py), values are always bound

from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

import apsw

from cludale.adapters.sqlite import migrations
from cludale.adapters.sqlite.packed_table import PackedTable
from cludale.adapters.sqlite.statements import Execute, insert, run, sized
from cludale.adapters.sqlite.statements import rows as places
from cludale.ports.records import Kind, SchemaRefused
from cludale.runtime.planning import Rows
from cludale.runtime.table_names import OWN_COLUMNS, check_names

SCHEMA_VERSION = 4
APPLICATION_ID = 0x436C7564  # "Clud"


class Table:
    """Where a kind is kept."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.name = f"{kind.service}_{kind.name}"
        self.names = (self.name,)
        columns = ("id", "version", "body", *(f'"{field}"' for field in kind.indexed))
        self.width = len(columns)
        changed = ",".join(f"{column}=excluded.{column}" for column in columns[1:])
        self._insert = sized(lambda count: insert(self.name, columns, count))
        self._update = sized(
            lambda count: f"{insert(self.name, columns, count)} ON CONFLICT(id) DO UPDATE SET {changed}"
        )
        self._differs = sized(
            lambda count: (
                f"SELECT 1 FROM (VALUES {places(2, count)}) AS wanted LEFT JOIN {self.name} AS held "
                "ON held.id = column1 WHERE column1 IS NOT NULL AND held.version IS NOT column2 LIMIT 1"
            )
        )
        self._versions = sized(
            lambda count: f"SELECT id, version FROM {self.name} WHERE id IN ({','.join('?' * count)})"
        )
        self.read = sized(
            lambda count: (
                "SELECT json_group_array(json_array(id, version, octet_length(body))), "
                "CAST(group_concat(CAST(body AS TEXT), '') AS BLOB) "
                f"FROM {self.name} WHERE id IN ({','.join('?' * count)})"
            )
        )

    def differs(self, execute: Execute, rows: Rows) -> bool:
        """Is any record not at the version that these stand on?"""
        return bool(run(execute, self._differs, rows.bases, 2))

    def write(self, execute: Execute, rows: Rows) -> None:
        """Write these records."""
        if rows.fresh:
            run(execute, self._insert, list(chain.from_iterable(rows.fresh.values())), self.width)
        if rows.changed:
            run(execute, self._update, list(chain.from_iterable(rows.changed.values())), self.width)

    def held(self, execute: Execute, ids: Iterable[str]) -> Iterable[tuple[str, int]]:
        """Those of the ids that exist, each with its version."""
        return run(execute, self._versions, list(ids), 1)

    def exists(self, connection: apsw.Connection) -> bool:
        """Is the table there? Raises SchemaRefused if it is there with other columns."""
        there = tuple(row[1] for row in connection.execute(f"PRAGMA table_info({self.name})"))
        if there and set(there) != {*OWN_COLUMNS, *self.kind.indexed}:
            stored = ", ".join(there[len(OWN_COLUMNS) :])
            raise SchemaRefused(
                f"{self.name} is stored with the indexed fields ({stored}), "
                f"and this program wants ({', '.join(self.kind.indexed)})"
            )
        return bool(there)

    def create(self, connection: apsw.Connection) -> None:
        """Create the table and its indexes."""
        fields = "".join(f', "{field}"' for field in self.kind.indexed)
        connection.execute(
            f"CREATE TABLE {self.name}"
            f"(n INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL{fields})"
        )
        for field in self.kind.indexed:
            connection.execute(
                f'CREATE INDEX "{self.name}_{field}" ON {self.name}("{field}") WHERE "{field}" IS NOT NULL'
            )


OUTBOX_INSERT = "INSERT INTO outbox(position, events, body) VALUES (?, ?, ?)"
OUTBOX_DELETE = sized(lambda count: f"DELETE FROM outbox WHERE position IN ({','.join('?' * count)})")
OUTBOX_ROWS = "SELECT position, events FROM outbox ORDER BY position"
OUTBOX_PENDING = "SELECT position, body FROM outbox WHERE position > ? ORDER BY position LIMIT ?"
OUTBOX_LAST = "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'"


Tables = Mapping[Kind, Table | PackedTable]


def tables_of(kinds: Iterable[Kind]) -> Tables:
    """A table for each kind. Raises ValueError for names that can't be."""
    tables = {kind: _table_of(kind) for kind in kinds}
    names = [name.casefold() for table in tables.values() for name in table.names]
    if len(set(names)) < len(names):
        raise ValueError("two kinds would share a table")
    return tables


def _table_of(kind: Kind) -> Table | PackedTable:
    check_names(kind)
    return PackedTable(kind) if kind.is_append_only else Table(kind)


def check(connection: apsw.Connection, path: Path) -> bool:
    """Is this a store of ours (True), or new (False)? Raises SchemaRefused for anything else."""
    version = connection.pragma("user_version")
    is_ours = connection.pragma("application_id") == APPLICATION_ID
    if is_ours and version == SCHEMA_VERSION:
        return True
    if version == 0 and not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").get:
        return False
    if is_ours and 0 < version < SCHEMA_VERSION:
        raise SchemaRefused(
            f"{path} has schema version {version}; a server of this version brings it up to date when it starts"
        )
    raise SchemaRefused(
        f"{path} has schema version {version}, this program knows version {SCHEMA_VERSION}; "
        "it was written by a newer version, or is not a store of Cludale's"
    )


def check_tables(connection: apsw.Connection, path: Path, tables: Tables) -> frozenset[Kind]:
    """Can these kinds be read from the file? Returns those that it lacks and may lack. Raises SchemaRefused."""
    if not check(connection, path):
        raise SchemaRefused(f"{path} is empty; a server makes a store of it")
    if any(migrations.is_unfinished(connection, table) for table in tables.values()):
        raise SchemaRefused(f"{path} is being brought up to date; a server of this version goes on with that")
    lacked = frozenset(kind for kind, table in tables.items() if not table.exists(connection))
    missing = [table.name for kind, table in tables.items() if kind in lacked and not kind.may_lack]
    if missing:
        raise SchemaRefused(f"{path} lacks {', '.join(missing)}; a server of this version adds them when it starts")
    return lacked


def prepare(connection: apsw.Connection, path: Path, tables: Iterable[Table | PackedTable]) -> None:
    """Make the file a store with these tables. Raises SchemaRefused.

    That is one transaction. What is long, and may end at any moment and go on with the next start, comes after it.
    """
    tables = tuple(tables)
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.pragma("application_id") == APPLICATION_ID:
            migrations.begin(connection, tables)
        _create(connection, new=not check(connection, path), tables=tables)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a disk that is full has ended it already
            connection.execute("ROLLBACK")
        raise
    migrations.go_on(connection, tables)


def _create(connection: apsw.Connection, *, new: bool, tables: Iterable[Table | PackedTable]) -> None:
    if new:
        connection.pragma("user_version", SCHEMA_VERSION)
        connection.pragma("application_id", APPLICATION_ID)
        # A row is a batch's events (see `outbox`), `position` that of the last. AUTOINCREMENT, because a position must
        # not come back once the outbox has been emptied.
        connection.execute(
            "CREATE TABLE outbox"
            "(position INTEGER PRIMARY KEY AUTOINCREMENT, events INTEGER NOT NULL, body BLOB NOT NULL)"
        )
    for table in tables:
        if not table.exists(connection):
            table.create(connection)
