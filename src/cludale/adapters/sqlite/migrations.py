"""What brings a store that an older version wrote up to date, when a server opens it.

`begin` runs within the transaction that prepares the store. `go_on` is for what takes long: a transaction a stretch,
so that a server that ends meanwhile goes on where it was. Until it is done the store is refused to whoever only reads.
"""
# ruff: noqa: S608 - names of tables and columns are checked by schema, values are always bound

import logging
from collections.abc import Iterable
from time import monotonic

import apsw

from cludale.adapters.sqlite.outbox import packed
from cludale.adapters.sqlite.packed_table import PackedTable
from cludale.ports.outbox import Outgoing

STRETCH = 8_192
"""Records that are packed in one transaction: some 7 MB of the audit log."""
TELL_SECONDS = 5.0
"""How often it is told how far that is."""

_log = logging.getLogger(__name__)


def begin(connection: apsw.Connection, tables: Iterable[object]) -> None:
    """Everything but what takes long."""
    version = connection.pragma("user_version")
    if version == 1:
        _pack_the_outbox(connection)
    if version < 4:
        # Up to version 3 it said which events were handled; what is stored says so by itself (ADR 96).
        connection.execute("DROP TABLE inbox")
        connection.pragma("user_version", 4)
    for table in _packed(tables):
        if _columns(connection, table.name)[:2] == ["n", "id"]:
            for field in table.kind.indexed:
                connection.execute(f'DROP INDEX "{table.name}_{field}"')
            connection.execute(f"ALTER TABLE {table.name} RENAME TO {table.name}_before")


def _pack_the_outbox(connection: apsw.Connection) -> None:
    """In version 1 it had a row for each event, with its topic beside it."""
    waiting = [Outgoing(*row) for row in connection.execute("SELECT position, topic, body FROM outbox")]
    connection.execute("ALTER TABLE outbox ADD COLUMN events INTEGER NOT NULL DEFAULT 1")
    connection.execute("ALTER TABLE outbox DROP COLUMN topic")
    for entry in waiting:
        position, events, body = packed([entry])
        connection.execute("UPDATE outbox SET events = ?, body = ? WHERE position = ?", (events, body, position))


def is_unfinished(connection: apsw.Connection, table: object) -> bool:
    """Are there records of this kind that are not where they belong yet?"""
    return any(_columns(connection, f"{each.name}_before") for each in _packed([table]))


def go_on(connection: apsw.Connection, tables: Iterable[object]) -> None:
    """Pack what versions 1 and 2 kept in a row a record, from where an earlier start ended."""
    for table in _packed(tables):
        if is_unfinished(connection, table):
            _pack(connection, table)


def _pack(connection: apsw.Connection, table: PackedTable) -> None:
    before = f"{table.name}_before"
    last = connection.execute(f"SELECT coalesce(max(n), 0) FROM {before}").get
    fields = "".join(f', "{field}"' for field in table.kind.indexed)
    some = f"SELECT n, id, version, CAST(body AS BLOB){fields} FROM {before} ORDER BY n LIMIT {STRETCH}"
    told_at = monotonic()
    if last:
        _log.info("packing %s, up to number %d, as this version keeps it", table.name, last)
    while rows := connection.execute(some).fetchall():
        with connection:
            table.add(connection.execute, [row[1:] for row in rows])
            n = rows[-1][0]
            connection.execute(f"DELETE FROM {before} WHERE n <= ?", (n,))
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        if monotonic() - told_at >= TELL_SECONDS:
            told_at = monotonic()
            _log.info("packing %s: %d of %d", table.name, n, last)
    connection.execute(f"DROP TABLE {before}")
    if last:
        _log.info("%s is packed", table.name)


def _packed(tables: Iterable[object]) -> Iterable[PackedTable]:
    return (table for table in tables if isinstance(table, PackedTable))


def _columns(connection: apsw.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
