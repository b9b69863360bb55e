"""The tables and the text of every statement that writes or looks up. No connection handling, no planning.

A kind is a table: `n` is the order in which records came, `body` a blob (a text would be checked and copied at
each turn), an indexed field a column with an index that leaves NULL out. Statements exist for 1, 2, 4 … 128 rows:
one step through SQLite for many rows, because each step gives the GIL up and has to win it back.
"""
# ruff: noqa: S608 - names of tables and columns are checked against _NAME, values are always bound

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import apsw

from cludale.adapters.sqlite import migrations
from cludale.ports.records import Kind, SchemaRefused

SCHEMA_VERSION = 2
APPLICATION_ID = 0x436C7564  # "Clud"
CHUNK_ROWS = 128
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_OWN_COLUMNS = ("n", "id", "version", "body")

Sized = tuple[str, ...]
"""One statement's text for 1, 2, 4 … CHUNK_ROWS rows."""
Statement = tuple[str, Sequence[object]]
"""Its text, and what is bound in it."""


def sized(text: Callable[[int], str]) -> Sized:
    """The statement for each chunk size."""
    return tuple(text(1 << power) for power in range(CHUNK_ROWS.bit_length()))


def chunks(statements: Sized, values: Sequence[object], width: int) -> Iterator[Statement]:
    """Statements and their bindings that bring in all rows of `values` (flat, `width` a row), in order.

    The last chunk is filled up with rows of NULL, which every statement passes over: a step for nothing costs more
    than rows for nothing.
    """
    full = CHUNK_ROWS * width
    for at in range(0, len(values), full):
        chunk = list(values[at : at + full])
        power = (len(chunk) // width - 1).bit_length()
        chunk += [None] * ((width << power) - len(chunk))
        yield statements[power], chunk


def _rows(width: int, count: int) -> str:
    row = f"({','.join('?' * width)})"
    return ",".join([row] * count)


def _insert(table: str, columns: Sequence[str], count: int) -> str:
    rows = _rows(len(columns), count)
    # A statement that fails has its transaction rolled back. ABORT, the default, would copy every page first, so as
    # to take back that statement alone.
    return f"INSERT OR FAIL INTO {table}({','.join(columns)}) SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL"


class Table:
    """Where a kind is kept."""

    def __init__(self, kind: Kind) -> None:
        for name in (kind.service, kind.name, *kind.indexed):
            if not _NAME.match(name):
                raise ValueError(f"{name!r} in {kind} can't name a table or column")
        folded = [field.casefold() for field in kind.indexed]
        if len(set(folded)) < len(folded) or set(folded) & set(_OWN_COLUMNS):
            raise ValueError(f"{kind} declares an indexed field twice, or one named {', '.join(_OWN_COLUMNS)}")
        self.kind = kind
        self.name = f"{kind.service}_{kind.name}"
        columns = ("id", "version", "body", *(f'"{field}"' for field in kind.indexed))
        self.width = len(columns)
        changed = ",".join(f"{column}=excluded.{column}" for column in columns[1:])
        self.insert = sized(lambda count: _insert(self.name, columns, count))
        self.update = sized(
            lambda count: f"{_insert(self.name, columns, count)} ON CONFLICT(id) DO UPDATE SET {changed}"
        )
        self.differs = sized(
            lambda count: (
                f"SELECT 1 FROM (VALUES {_rows(2, count)}) AS wanted LEFT JOIN {self.name} AS held "
                "ON held.id = column1 WHERE column1 IS NOT NULL AND held.version IS NOT column2 LIMIT 1"
            )
        )
        self.versions = sized(
            lambda count: f"SELECT id, version FROM {self.name} WHERE id IN ({','.join('?' * count)})"
        )
        self.read = sized(
            lambda count: (
                "SELECT json_group_array(json_array(id, version, octet_length(body))), "
                "CAST(group_concat(CAST(body AS TEXT), '') AS BLOB) "
                f"FROM {self.name} WHERE id IN ({','.join('?' * count)})"
            )
        )

    def exists(self, connection: apsw.Connection) -> bool:
        """Is the table there? Raises SchemaRefused if it is there with other columns."""
        there = tuple(row[1] for row in connection.execute(f"PRAGMA table_info({self.name})"))
        if there and set(there) != {*_OWN_COLUMNS, *self.kind.indexed}:
            stored = ", ".join(there[len(_OWN_COLUMNS) :])
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


INBOX_INSERT = sized(lambda count: _insert("inbox", ("consumer", "event_id"), count))
INBOX_FIND = sized(
    lambda count: f"SELECT consumer, event_id FROM inbox WHERE (consumer, event_id) IN (VALUES {_rows(2, count)})"
)
OUTBOX_INSERT = "INSERT INTO outbox(position, events, body) VALUES (?, ?, ?)"
OUTBOX_DELETE = sized(lambda count: f"DELETE FROM outbox WHERE position IN ({','.join('?' * count)})")
OUTBOX_ROWS = "SELECT position, events FROM outbox ORDER BY position"
OUTBOX_PENDING = "SELECT position, body FROM outbox WHERE position > ? ORDER BY position LIMIT ?"
OUTBOX_LAST = "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'"


def tables_of(kinds: Iterable[Kind]) -> Mapping[Kind, Table]:
    """A table for each kind. Raises ValueError for names that can't be."""
    tables = {kind: Table(kind) for kind in kinds}
    if len({table.name.casefold() for table in tables.values()}) < len(tables):
        raise ValueError("two kinds would share a table")
    return tables


def check(connection: apsw.Connection, path: Path) -> bool:
    """Is this a store of ours (True), or new (False)? Raises SchemaRefused for anything else."""
    version = connection.pragma("user_version")
    if version == SCHEMA_VERSION and connection.pragma("application_id") == APPLICATION_ID:
        return True
    if version == 0 and not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").get:
        return False
    if _is_of_version_1(connection):
        raise SchemaRefused(
            f"{path} has schema version 1; a server of this version brings it up to date when it starts"
        )
    raise SchemaRefused(
        f"{path} has schema version {version}, this program knows version {SCHEMA_VERSION}; "
        "it was written by a newer version, or is not a store of Cludale's"
    )


def check_tables(connection: apsw.Connection, path: Path, tables: Mapping[Kind, Table]) -> frozenset[Kind]:
    """Can these kinds be read from the file? Returns those that it lacks and may lack. Raises SchemaRefused."""
    if not check(connection, path):
        raise SchemaRefused(f"{path} is empty; a server makes a store of it")
    lacked = frozenset(kind for kind, table in tables.items() if not table.exists(connection))
    missing = [table.name for kind, table in tables.items() if kind in lacked and not kind.may_lack]
    if missing:
        raise SchemaRefused(f"{path} lacks {', '.join(missing)}; a server of this version adds them when it starts")
    return lacked


def prepare(connection: apsw.Connection, path: Path, tables: Iterable[Table]) -> None:
    """Make the file a store with these tables, in one transaction. Raises SchemaRefused."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _is_of_version_1(connection):
            migrations.from_version_1(connection)
        _create(connection, new=not check(connection, path), tables=tables)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a disk that is full has ended it already
            connection.execute("ROLLBACK")
        raise


def _is_of_version_1(connection: apsw.Connection) -> bool:
    return (connection.pragma("user_version"), connection.pragma("application_id")) == (1, APPLICATION_ID)


def _create(connection: apsw.Connection, *, new: bool, tables: Iterable[Table]) -> None:
    if new:
        connection.pragma("user_version", SCHEMA_VERSION)
        connection.pragma("application_id", APPLICATION_ID)
        connection.execute(
            "CREATE TABLE inbox(consumer TEXT NOT NULL, event_id TEXT NOT NULL, PRIMARY KEY(consumer, event_id)) "
            "WITHOUT ROWID"
        )
        # A row is a batch's events (see `outbox`), `position` that of the last. AUTOINCREMENT, because a position must
        # not come back once the outbox has been emptied.
        connection.execute(
            "CREATE TABLE outbox"
            "(position INTEGER PRIMARY KEY AUTOINCREMENT, events INTEGER NOT NULL, body BLOB NOT NULL)"
        )
    for table in tables:
        if not table.exists(connection):
            table.create(connection)
