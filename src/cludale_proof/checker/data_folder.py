"""A data folder as a snapshot: the store's SQLite file and the simulated provider's, read with the standard library.

The files may be in use: the store is read in one transaction, so as it was at one instant.
"""

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from cludale_proof.checker.documents import Body, Kind
from cludale_proof.checker.ledger import LedgerLine
from cludale_proof.checker.snapshot import Row

STORE: Final = "cludale.db"
LEDGER: Final = "simulated-provider.db"
_APPLICATION_ID: Final = 0x436C7564
_SCHEMA_VERSION: Final = 4
_BUSY_SECONDS: Final = 10.0
_events: Final = msgspec.msgpack.Decoder(list[tuple[str, bytes]])
"""A row of the outbox: topic and body of each event of a batch."""
_records: Final = msgspec.msgpack.Decoder(list[tuple[Any, ...]])
"""A row of a table whose records share rows: id, version and body of each, and what it is found by."""
_TABLES: Final = {kind: kind.value.replace("/", "_") for kind in Kind}


class Unopenable(Exception):
    """The folder can't be checked; the message says why."""


class DataFolder:
    """The stores in a data folder at one instant. Use it as a context. Raises Unopenable, also while reading."""

    def __init__(self, path: Path, *, store: Path | None = None, ledger: Path | None = None) -> None:
        """`store` and `ledger` are read in place of the folder's own. No ledger is no error: money goes unchecked."""
        self._store_path = store or path / STORE
        self._ledger_path = ledger or path / LEDGER
        if not self._store_path.is_file():
            raise Unopenable(f"there is no store at {self._store_path}")
        self._store = _open(self._store_path)
        try:
            self._begin()
        except BaseException:
            self._store.close()
            raise

    def _begin(self) -> None:
        try:
            (application,) = self._store.execute("PRAGMA application_id").fetchone()
            (version,) = self._store.execute("PRAGMA user_version").fetchone()
            self._store.execute("BEGIN")
            found = self._store.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        except sqlite3.Error as error:
            raise Unopenable(f"{self._store_path}: {error}") from error
        if application == _APPLICATION_ID and 0 < version < _SCHEMA_VERSION:
            raise Unopenable(
                f"{self._store_path} has schema version {version}; a server of this version brings it up to date"
            )
        if (application, version) != (_APPLICATION_ID, _SCHEMA_VERSION):
            raise Unopenable(f"{self._store_path} is no store of Cludale's that this program knows")
        self._tables = {name for (name,) in found}
        if any(f"{table}_before" in self._tables for table in _TABLES.values()):
            raise Unopenable(f"{self._store_path} is being brought up to date; a server goes on with that")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._store.close()

    def rows(self, kind: Kind) -> Iterator[Row]:
        """The records of a kind in the order in which they came."""
        table = _TABLES[kind]
        if table not in self._tables:
            return
        if any(column[1] == "is_packed" for column in self._select(f"PRAGMA table_info({table})")):
            yield from self._packed(table)
            return
        for id, version, body in self._select(f"SELECT id, version, body FROM {table} ORDER BY n"):  # noqa: S608 - our own
            yield Row(id, version, body.encode() if isinstance(body, str) else body)

    def _packed(self, table: str) -> Iterator[Row]:
        """Records that are written once share rows, in their order."""
        for n, is_packed, body in self._select(f"SELECT n, is_packed, body FROM {table} ORDER BY n"):  # noqa: S608 - our own
            try:
                records = _records.decode(zlib.decompress(body) if is_packed else body)
            except (zlib.error, msgspec.MsgspecError) as error:
                raise Unopenable(f"{self._store_path}: {table} is damaged before number {n}: {error}") from error
            for id, version, record, *_ in records:
                yield Row(id, version, record)

    def outbox(self) -> Iterator[Body]:
        """The events that wait in the outbox."""
        for (batch,) in self._select("SELECT body FROM outbox ORDER BY position"):
            for _, body in _events.decode(batch):
                yield body

    def ledger(self) -> Iterable[LedgerLine] | None:
        """The simulated provider's ledger, as it is when this is read."""
        return self._lines() if self._ledger_path.is_file() else None

    def _lines(self) -> Iterator[LedgerLine]:
        ledger = _open(self._ledger_path)
        try:
            for key, captured, refunded, charges in ledger.execute(
                "SELECT key, captured, refunded, charges FROM charge"
            ):
                yield LedgerLine(key=key, captured=captured, refunded=refunded, charges=charges)
        except sqlite3.Error as error:
            raise Unopenable(f"{self._ledger_path}: {error}") from error
        finally:
            ledger.close()

    def committed_events(self) -> int | None:
        """The outbox numbers what goes through it, and never uses a number twice."""
        for (last,) in self._select("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'"):
            return int(last)
        return 0

    def size(self) -> int:
        """By the last number of each table, which costs nothing; what was deleted counts too."""
        total = 0
        for table in (*_TABLES.values(), "outbox"):
            if table in self._tables:
                column = "position" if table == "outbox" else "n"
                for (last,) in self._select(f"SELECT max({column}) FROM {table}"):  # noqa: S608 - our own
                    total += last or 0
        return total

    def _select(self, sql: str) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._store.execute(sql)
        except sqlite3.Error as error:
            raise Unopenable(f"{self._store_path}: {error}") from error


def _open(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
        )
    except sqlite3.Error as error:
        raise Unopenable(f"{path}: {error}") from error
    connection.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")
    return connection
