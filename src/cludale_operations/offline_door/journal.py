"""The journal of a door device: every scan, durable before the device says anything, in one SQLite file.

It also keeps what the device goes by: its name for ever, the last snapshot, the keys, and what the server said of its
clock. One program at a time has it.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, NamedTuple

from cludale.services.tickets.domain import Movement
from cludale.services.tickets.events import Direction
from cludale.services.tickets.offline import Anchor, Reading

_SCHEMA = """
CREATE TABLE IF NOT EXISTS kept (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS anchors (
    number INTEGER PRIMARY KEY, clock TEXT NOT NULL, boot TEXT NOT NULL, seconds REAL NOT NULL, at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS scans (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT NOT NULL, concert TEXT NOT NULL, door TEXT NOT NULL,
    direction TEXT NOT NULL, clock TEXT NOT NULL, boot TEXT NOT NULL, seconds REAL NOT NULL,
    at TEXT, result TEXT, order_id TEXT, number INTEGER, undone TEXT,
    state TEXT NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'refused', 'waiting', 'told', 'not taken')),
    told_at TEXT, answer TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS waiting ON scans (state) WHERE state = 'waiting';
"""
ANCHORS_KEPT = 20


class JournalInUse(Exception):
    """Another program has this journal."""


class Waiting(NamedTuple):
    """A scan that has yet to be told."""

    sequence: int
    code: str
    door: str
    direction: Direction
    reading: Reading
    undone: str | None
    told_at: datetime | None
    """Its time as it was told before: that stays."""


class Journal:
    """The file at `path`. Threads may share it."""

    def __init__(self, path: Path, door: str, *, connect: Callable[..., sqlite3.Connection] = sqlite3.connect) -> None:
        """Raises JournalInUse, OSError, sqlite3.Error."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.RLock()
        self._db = connect(path, timeout=0.5, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            self._db.execute(
                "INSERT OR IGNORE INTO kept VALUES ('device', ?)", (f"{door[:40]}-{token_hex(6)}".encode(),)
            )
        except sqlite3.OperationalError as error:
            self._db.close()
            if "locked" in str(error):
                raise JournalInUse(f"another program has {path}: one door, one program") from error
            raise
        path.chmod(0o600)

    def close(self) -> None:
        """Whatever waits stays in the file."""
        self._db.close()

    @contextmanager
    def _durably(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a disk that is full may have ended it already
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._db.execute(query, values).fetchall()

    # -- what it goes by

    @property
    def device(self) -> str:
        """The device's name: the same for ever, and no other's."""
        return (self.kept("device") or b"").decode()

    def kept(self, name: str) -> bytes | None:
        """What was kept under this name."""
        rows = self._rows("SELECT value FROM kept WHERE name = ?", name)
        return rows[0][0] if rows else None

    def keep(self, values: Mapping[str, bytes]) -> None:
        """Keep these, all or none."""
        with self._durably() as db:
            db.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?)", values.items())

    def anchors(self) -> list[Anchor]:
        """What the server said of the clock, the last of it."""
        rows = self._rows("SELECT clock, boot, seconds, at FROM anchors ORDER BY number")
        return [Anchor(Reading(_time(clock), boot, seconds), _time(at)) for clock, boot, seconds, at in rows]

    def anchored(self, anchor: Anchor, *, forget: bool = False) -> None:
        """The server said this of the clock. `forget`: what it said before was wrong."""
        reading = anchor.reading
        with self._durably() as db:
            if forget:
                db.execute("DELETE FROM anchors")
                db.execute("UPDATE scans SET told_at = NULL WHERE state = 'waiting'")
            db.execute(
                "INSERT INTO anchors (clock, boot, seconds, at) VALUES (?, ?, ?, ?)",
                (reading.clock.isoformat(), reading.boot, reading.seconds, anchor.at.isoformat()),
            )
            db.execute("DELETE FROM anchors WHERE number <= (SELECT MAX(number) FROM anchors) - ?", (ANCHORS_KEPT,))

    # -- scans

    def begin(self, code: str, *, concert: str, door: str, direction: Direction, reading: Reading) -> int:
        """A scan: its sequence number, which no other gets."""
        row = (code, concert, door, direction.value, reading.clock.isoformat(), reading.boot, reading.seconds)
        with self._durably() as db:
            done = db.execute(
                "INSERT INTO scans (code, concert, door, direction, clock, boot, seconds) VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
        if done.lastrowid is None:
            raise sqlite3.DatabaseError("a scan was written without a number")
        return done.lastrowid

    def decided(self, sequence: int, *, result: str, state: str, at: datetime, ticket: tuple[str, int] | None) -> None:
        """What is said to this scan. It may be said once this returns."""
        order_id, number = (None, None) if ticket is None else ticket
        with self._durably() as db:
            db.execute(
                "UPDATE scans SET result = ?, state = ?, at = ?, order_id = ?, number = ? WHERE sequence = ?",
                (result, state, at.isoformat(), order_id, number, sequence),
            )

    def undo_last(self, reason: str) -> int | None:
        """The last one that was let through did not count; its number, None: there is none."""
        with self._durably() as db:
            found = db.execute(
                "SELECT MAX(sequence) FROM scans WHERE result = 'valid' AND direction = 'in' AND undone IS NULL"
            ).fetchone()
            sequence: int | None = found[0]
            if sequence is not None:
                db.execute("UPDATE scans SET undone = ?, state = 'waiting' WHERE sequence = ?", (reason, sequence))
        return sequence

    def movements(self, concert: str) -> dict[tuple[str, int], list[Movement]]:
        """What this device let through, by order and number."""
        device = self.device
        found: dict[tuple[str, int], list[Movement]] = {}
        rows = self._rows(
            "SELECT sequence, order_id, number, door, direction, COALESCE(told_at, at) FROM scans "
            "WHERE concert = ? AND result = 'valid' AND undone IS NULL AND order_id IS NOT NULL ORDER BY sequence",
            concert,
        )
        for sequence, order_id, number, door, direction, at in rows:
            move = Movement(_time(at), door, f"{device}.{sequence}", Direction(direction), device, sequence)
            found.setdefault((order_id, number), []).append(move)
        return found

    def waiting(self, limit: int) -> list[Waiting]:
        """Those to be told, the first of them first."""
        rows = self._rows(
            "SELECT sequence, code, door, direction, clock, boot, seconds, undone, told_at FROM scans "
            "WHERE state = 'waiting' ORDER BY sequence LIMIT ?",
            limit,
        )
        return [
            Waiting(
                sequence,
                code,
                door,
                Direction(direction),
                Reading(_time(clock), boot, seconds),
                undone,
                None if told_at is None else _time(told_at),
            )
            for sequence, code, door, direction, clock, boot, seconds, undone, told_at in rows
        ]

    def last_told(self, before: int) -> datetime | None:
        """The time of the last scan before this one that has one for good."""
        (row,) = self._rows("SELECT MAX(told_at) FROM scans WHERE sequence < ?", before)
        return None if row[0] is None else _time(row[0])

    def count(self, state: str) -> int:
        """How many scans stand so."""
        (row,) = self._rows("SELECT COUNT(*) FROM scans WHERE state = ?", state)
        count: int = row[0]
        return count

    def times_told(self, times: Mapping[int, datetime]) -> None:
        """These are told with these times, from now on."""
        with self._durably() as db:
            rows = [(at.isoformat(), sequence) for sequence, at in times.items()]
            db.executemany("UPDATE scans SET told_at = ? WHERE sequence = ?", rows)

    def told(self, results: Mapping[int, str], undone: Sequence[int]) -> None:
        """What the server made of these. One that was undone meanwhile, and is not among `undone`, waits on."""
        with self._durably() as db:
            for sequence, answer in results.items():
                state = "told" if answer in ("recorded", "known") else "not taken"
                db.execute(
                    "UPDATE scans SET answer = ?, state = CASE WHEN undone IS NULL OR ? THEN ? ELSE state END "
                    "WHERE sequence = ?",
                    (answer, sequence in undone, state, sequence),
                )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
