"""The provider's ledger: what one has to do, and one in a SQLite file of its own, as it would be another company's.

No rules, no waiting. The file stands for something outside, so it need not survive a power cut (`synchronous=OFF`),
which keeps it from taking part in what is measured; it survives the end of the process that writes it, however that
comes.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import apsw

from cludale.adapters.simulated_payments.rules import LedgerRow

BUSY_MILLISECONDS = 2_000
"""How long another process's lock is waited for."""
_COLUMNS = ",".join(LedgerRow._fields)
_VALUES = ",".join("?" * len(LedgerRow._fields))
_INSERT = f"INSERT OR IGNORE INTO charge({_COLUMNS}) VALUES ({_VALUES})"  # noqa: S608 - names of our own columns
_REPLACE = f"INSERT OR REPLACE INTO charge({_COLUMNS}) VALUES ({_VALUES})"  # noqa: S608
_SELECT = f"SELECT {_COLUMNS} FROM charge"  # noqa: S608


Change = Callable[[LedgerRow | None], LedgerRow | None]
"""What becomes of the row under a key; None leaves it as it is."""


class LedgerPage(NamedTuple):
    """Some rows, and the cursor of those that follow; None: there are none."""

    rows: Sequence[LedgerRow]
    next: str | None


class LedgerBroken(Exception):
    """The ledger can't be read or written. Unless it broke while it answered, nothing of this transaction was."""


class Ledger(Protocol):
    """The rows, by key. Nothing is kept in memory."""

    async def insert_all(self, rows: Sequence[LedgerRow]) -> bool:
        """Write rows under keys that are all new, in one transaction. False if one isn't; then none is written."""
        ...

    async def change_all(self, changes: Sequence[tuple[str, Change]]) -> None:
        """Put what each change makes of the row under its key, in order, in one transaction. Each is called once."""
        ...

    async def page(self, since: int, until: int, *, after: str | None, limit: int) -> LedgerPage:
        """A page of the rows that began in that time."""
        ...

    async def rows(self, keys: Sequence[str]) -> Sequence[LedgerRow]:
        """The rows with these keys, as far as they exist."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


class SqliteLedger:
    """A ledger in a file, for one process."""

    def __init__(self, path: Path) -> None:
        """Open the file, made (for its owner only) if need be. Raises LedgerBroken."""
        try:
            path.touch(mode=0o600)
            self._connection = apsw.Connection(str(path))
            self._connection.set_busy_timeout(BUSY_MILLISECONDS)
            self._connection.pragma("journal_mode", "wal")
            self._connection.pragma("synchronous", "off")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS charge(key TEXT PRIMARY KEY, amount INTEGER, currency TEXT, method TEXT,"
                " captured INTEGER, refunded INTEGER, charges INTEGER, asked INTEGER, declined INTEGER, voided INTEGER,"
                " parts TEXT NOT NULL DEFAULT '', at INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID"
            )
            for column, form in _LATER.items():
                if column not in _columns(self._connection):  # a file of an earlier version
                    self._connection.execute(f"ALTER TABLE charge ADD COLUMN {column} {form}")
        except (apsw.Error, OSError) as error:
            raise LedgerBroken(str(error)) from error

    async def close(self) -> None:
        """Close the file."""
        self._connection.close()

    async def insert_all(self, rows: Sequence[LedgerRow]) -> bool:
        """Write rows under keys that are all new, in one transaction. False if one isn't; then none is written."""
        connection = self._connection

        def insert() -> bool:
            before = connection.total_changes()
            connection.executemany(_INSERT, rows)
            return connection.total_changes() - before == len(rows)

        return self._transaction(insert)

    async def change_all(self, changes: Sequence[tuple[str, Change]]) -> None:
        """Put what each change makes of the row under its key, in order, in one transaction."""

        def change_each() -> bool:
            for key, change in changes:
                after = change(self._row(key))
                if after is not None:
                    self._connection.execute(_REPLACE, after)
            return True

        self._transaction(change_each)

    async def page(self, since: int, until: int, *, after: str | None, limit: int) -> LedgerPage:
        """A page of the rows that began in that time, by key: the whole file is read once for all pages."""
        wanted = f"{_SELECT} WHERE key > ? AND at >= ? AND at < ? ORDER BY key LIMIT ?"
        rows = self._read(wanted, (after or "", since, until, limit))
        return LedgerPage(rows, rows[-1].key if len(rows) == limit else None)

    async def rows(self, keys: Sequence[str]) -> Sequence[LedgerRow]:
        """The rows with these keys, as far as they exist."""
        return self._read(f"{_SELECT} WHERE key IN ({','.join('?' * len(keys))})", keys)

    def _read(self, statement: str, values: Sequence[Any]) -> Sequence[LedgerRow]:
        try:
            return [_row_of(each) for each in self._connection.execute(statement, values)]
        except apsw.Error as error:
            raise LedgerBroken(str(error)) from error

    def _transaction(self, write: Callable[[], bool]) -> bool:
        """Keep what `write` wrote if it says so."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                keep = write()
                connection.execute("COMMIT" if keep else "ROLLBACK")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except apsw.Error as error:
            raise LedgerBroken(str(error)) from error
        return keep

    def _row(self, key: str) -> LedgerRow | None:
        values = self._connection.execute(f"{_SELECT} WHERE key = ?", (key,)).fetchone()
        return None if values is None else _row_of(values)


_LATER = {"parts": "TEXT NOT NULL DEFAULT ''", "at": "INTEGER NOT NULL DEFAULT 0"}
"""Columns that files of earlier versions lack."""


def _columns(connection: apsw.Connection) -> list[str]:
    return [row[1] for row in connection.execute("PRAGMA table_info(charge)")]


def _row_of(values: tuple[Any, ...]) -> LedgerRow:
    row = LedgerRow(*values)
    return row._replace(declined=bool(row.declined), voided=bool(row.voided))


def read_ledger(path: Path) -> Iterator[LedgerRow]:
    """Every row, by key, beside the provider that writes them. Raises LedgerBroken."""
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            there = _columns(connection)
            columns = ",".join(each for each in LedgerRow._fields if each in there)  # they were added one by one
            for values in connection.execute(f"SELECT {columns} FROM charge ORDER BY key"):  # noqa: S608
                yield _row_of(values)
        finally:
            connection.close()
    except apsw.Error as error:
        raise LedgerBroken(str(error)) from error
